package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
)

// attack is a line that would run code in a page that takes it for HTML.
const attack = `GET /?q=<script>window.pwned=1</script><img src=x onerror="window.pwned=1"> "><svg onload=window.pwned=1>`

// browser starts Chromium with a console over the two servers.
func browser(t *testing.T, k configs.Kafka, e configs.Elasticsearch) (context.Context, <-chan string) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(peers.Chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1360, 860),
		chromedp.NoSandbox, chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	base := serve(t, Options{Kafka: k, Elasticsearch: e})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, closePage := chromedp.NewContext(ctx)
	t.Cleanup(closePage)
	thrown := make(chan string, 100)
	err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*runtime.EventExceptionThrown); ok {
			select {
			case thrown <- fmt.Sprintf("%+v", *e.ExceptionDetails):
			default:
			}
		}
	})
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/")); err != nil {
		t.Fatalf("open the page: %v", err)
	}
	return ctx, thrown
}

// driver drives one open page.
type driver struct {
	t   *testing.T
	ctx context.Context
}

func (p driver) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.shot("failed")
		p.t.Fatalf("%s: %v", what, err)
	}
}

// value evaluates JavaScript.
func (p driver) value(js string) string {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[any](js))
	if err != nil {
		p.t.Fatalf("evaluate %s: %v", js, err)
	}
	return fmt.Sprint(v)
}

// becomes waits until a JavaScript expression is true. The page's policy keeps
// it from evaluating texts, so the waiting is done here.
func (p driver) becomes(what, js string) {
	p.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range 1200 {
		if p.value("Boolean("+js+")") == "true" {
			return
		}
		select {
		case <-ticker.C:
		case <-p.ctx.Done():
			p.t.Fatalf("%s: %v", what, p.ctx.Err())
		}
	}
	p.shot("failed")
	p.t.Fatalf("%s: it did not become true that %s; the page shows: %.600s", what, js, p.value("document.body.innerText"))
}

// shot keeps a picture where MILLRACE_SCREENSHOTS names a folder.
func (p driver) shot(name string) {
	dir := os.Getenv("MILLRACE_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Logf("screenshot %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Errorf("screenshot %s: %v", name, err)
	}
}

// document is a log line as a pipeline writes it.
func document(at time.Time, n int, level, message string, more map[string]any) map[string]any {
	doc := map[string]any{
		"@timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"), "message": message,
		"log":  map[string]any{"level": level, "offset": n * 100, "file": map[string]any{"path": "/var/log/shop/app.log", "id": "f1"}},
		"host": map[string]any{"name": "web-1"}, "service": map[string]any{"name": "orders"}, "agent": map[string]any{"id": "a1"},
		"event": map[string]any{"ingested": time.Now().UTC().Format("2006-01-02T15:04:05.000Z")},
	}
	maps.Copy(doc, more)
	return doc
}

// index writes documents under their numbers and waits until they are found.
func index(t *testing.T, e configs.Elasticsearch, name string, first int, docs ...map[string]any) {
	t.Helper()
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	for i, doc := range docs {
		for _, v := range []any{map[string]any{"create": map[string]any{"_id": fmt.Sprintf("f1:%d", first+i)}}, doc} {
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.Addresses[0]+"/"+name+"/_bulk?refresh=true", &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Errors bool }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 || answer.Errors {
		t.Fatalf("index: %d errors=%v %v", resp.StatusCode, answer.Errors, err)
	}
}

// fillLogs indexes 3000 lines of the last 50 minutes, one of them the attack.
func fillLogs(t *testing.T, e configs.Elasticsearch) {
	t.Helper()
	client, err := elastic.NewClient(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := elastic.EnsureTemplate(t.Context(), client, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-50 * time.Minute)
	var docs []map[string]any
	for n := range 3000 {
		at := start.Add(time.Duration(n) * time.Second)
		level, message := "INFO", fmt.Sprintf("Order %d placed by customer %d", 50_000+n, n%400)
		switch {
		case n%100 == 99:
			level, message = "ERROR", fmt.Sprintf("Order %d failed: payment timeout\njava.net.http.HttpTimeoutException: request timed out\n\tat com.example.Payment.authorize(Payment.java:41)", 50_000+n)
		case n%20 == 7:
			level, message = "WARN", "Pool \"orders\" is nearly exhausted"
		case n%5 == 3:
			level, message = "DEBUG", "Evicted 42 entries"
		}
		docs = append(docs, document(at, n, level, message, nil))
	}
	docs = append(docs, document(time.Now(), 3000, "ERROR", attack, map[string]any{"labels": map[string]any{"html": attack}}))
	index(t, e, "millrace-web-2026.03.01", 0, docs...)
	alert := map[string]any{
		"id": "a1", "@timestamp": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano), "pipeline": "web", "rule": "many-timeouts", "type": "frequency",
		"severity": "error", "summary": "web/many-timeouts: 5 events within 1m " + attack, "count": 5, "first_event": time.Now().Add(-2 * time.Minute).UTC().Format(time.RFC3339Nano),
		"last_event": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano), "event_ids": []string{"f1:99"}, "sample": map[string]any{"message": attack},
	}
	index(t, e, "millrace-alerts-2026.03.01", 0, alert)
}

// fillKafka makes a topic with records and a group that is behind.
func fillKafka(t *testing.T, k configs.Kafka) {
	t.Helper()
	c, err := kafka.ClientConfig(k)
	if err != nil {
		t.Fatal(err)
	}
	c.Producer.Return.Successes = true
	client, err := sarama.NewClient(k.Brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic("logs.web", &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	produce(t, client, 300)
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{"logs.web": {0: {Offset: 1, LeaderEpoch: -1}}}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-again.C {
		resp, err := admin.AlterConsumerGroupOffsets("millrace-web", offsets, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch code := resp.Errors["logs.web"][0]; {
		case errors.Is(code, sarama.ErrNoError):
			return
		case !errors.Is(code, sarama.ErrOffsetsLoadInProgress) && !errors.Is(code, sarama.ErrNotCoordinatorForConsumer), time.Now().After(deadline):
			t.Fatalf("commit offsets: %v", code)
		}
	}
}

func produce(t *testing.T, client sarama.Client, n int) {
	t.Helper()
	p, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var messages []*sarama.ProducerMessage
	for i := range n {
		messages = append(messages, &sarama.ProducerMessage{Topic: "logs.web", Key: sarama.StringEncoder(fmt.Sprint(i)), Value: sarama.StringEncoder(strings.Repeat("x", 100))})
	}
	if err := p.SendMessages(messages); err != nil {
		t.Fatal(err)
	}
}

func TestBrowserWithPeers(t *testing.T) {
	k := configs.Kafka{Brokers: []string{peers.Kafka(t).Bootstrap}, ClientID: "console-test"}
	e := configs.Elasticsearch{Addresses: []string{peers.Elasticsearch(t).URL}}
	driveConsole(t, k, e)
}

func TestBrowserWithOwnNodes(t *testing.T) {
	driveConsole(t, configs.Kafka{Brokers: []string{nodes.Broker(t)}, ClientID: "console-test"}, configs.Elasticsearch{Addresses: []string{nodes.Search(t)}})
}

// start runs a part until the test ends.
func start(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// driveConsole goes through the whole page as a person does.
func driveConsole(t *testing.T, k configs.Kafka, e configs.Elasticsearch) {
	fillLogs(t, e)
	fillKafka(t, k)
	ctx, thrown := browser(t, k, e)
	p := driver{t, ctx}
	t.Run("search and histogram", func(t *testing.T) { p.t = t; p.searches() })
	t.Run("one line in full", func(t *testing.T) { p.t = t; p.opensLines() })
	t.Run("an attack stays text", func(t *testing.T) { p.t = t; p.survivesAttack() })
	t.Run("live tail", func(t *testing.T) { p.t = t; p.tails(e) })
	t.Run("alerts", func(t *testing.T) { p.t = t; p.showsAlerts() })
	t.Run("topics", func(t *testing.T) { p.t = t; p.showsTopics() })
	t.Run("groups", func(t *testing.T) { p.t = t; p.showsGroups() })
	t.Run("errors", func(t *testing.T) { p.t = t; p.showsErrors() })
	p.t = t
	for len(thrown) > 0 {
		t.Errorf("the page has thrown: %s", <-thrown)
	}
	if got := p.value("String(window.pwned)"); got != "undefined" {
		t.Error("a log line has run code in the page")
	}
}

func (p driver) searches() {
	p.becomes("all lines are counted", `document.querySelector(".total")?.textContent === "3,001 lines"`)
	if bars := p.value(`document.querySelectorAll(".chart rect.l-info").length`); bars < "2" && len(bars) == 1 {
		p.t.Errorf("the histogram has %s bars", bars)
	}
	p.becomes("the newest line is on top", `document.querySelector(".row .message")?.textContent.includes("pwned")`)
	if n := p.value(`document.querySelectorAll(".row").length`); len(n) > 2 {
		p.t.Errorf("the list has %s rows in the document, want only those on screen", n)
	}
	p.shot("logs")
	// Scrolling to the end loads page after page, each line once.
	p.do("go to the end", chromedp.Focus(".scroll"), chromedp.KeyEvent(kb.End))
	for range 20 {
		if p.value(`document.querySelector(".foot").textContent`) == "all 3,001 lines" {
			break
		}
		before := p.value(`document.querySelector(".spacer").style.height`)
		p.do("go to the end", chromedp.KeyEvent(kb.End))
		p.becomes("more lines", fmt.Sprintf(`document.querySelector(".spacer").style.height !== %q || document.querySelector(".foot").textContent.startsWith("all")`, before))
	}
	if got := p.value(`document.querySelector(".foot").textContent`); got != "all 3,001 lines" {
		p.t.Errorf("after scrolling: %s", got)
	}
	p.do("search", chromedp.SetValue("#query", "level:ERROR AND timeout"), chromedp.Click("#go"))
	p.becomes("errors are found", `document.querySelector(".total").textContent === "30 lines"`)
	p.becomes("errors are listed", `document.querySelector(".foot").textContent === "all 30 lines"`)
	if got := p.value(`[...document.querySelectorAll(".row .level")].every((x) => x.textContent === "ERROR") && document.querySelector(".row mark").textContent`); got != "timeout" {
		p.t.Errorf("the word is not marked: %s", got)
	}
	p.shot("search")
}

func (p driver) opensLines() {
	p.do("choose by keyboard", chromedp.Focus(".scroll"), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	p.becomes("the line is shown in full", `document.querySelector(".detail pre")?.textContent.includes("\tat com.example.Payment.authorize")`)
	fields := p.value(`[...document.querySelectorAll(".fields tr")].map((r) => r.children[0].textContent + "=" + r.children[1].textContent).join("\n")`)
	for _, want := range []string{"log.level=ERROR", "host.name=web-1", "log.file.path=/var/log/shop/app.log", "log.offset=", "event.ingested=", "_id=f1:"} {
		if !strings.Contains(fields, want) {
			p.t.Errorf("the line in full lacks %s: %s", want, fields)
		}
	}
	p.shot("line")
	p.do("filter by a field", chromedp.Click(`//tr[th="host.name"]//button[text()="−"]`))
	p.becomes("nothing is left", `document.querySelector(".empty:not([hidden])")?.textContent.includes("No line matches")`)
	p.shot("empty")
}

func (p driver) survivesAttack() {
	p.do("look for the attack", chromedp.SetValue("#query", "labels.html:*"), chromedp.Click("#go"))
	p.becomes("the attack is found", `document.querySelectorAll(".row").length === 1`)
	p.do("open it", chromedp.Click(".row"))
	p.becomes("the attack is shown as text", `document.querySelector(".detail pre").textContent === `+jsString(attack))
	if got := p.value(`document.querySelectorAll("main img, main script, .detail svg, .row svg").length`); got != "0" {
		p.t.Errorf("the attack has made %s elements", got)
	}
	p.do("close by keyboard", chromedp.KeyEvent(kb.Escape))
	p.becomes("the line is closed", `!document.querySelector(".detail")`)
}

func (p driver) tails(e configs.Elasticsearch) {
	p.do("switch on the live tail", chromedp.SetValue("#query", "level:ERROR"), chromedp.Click("#go"))
	p.becomes("errors are listed", `document.querySelector(".foot").textContent === "all 31 lines"`)
	p.do("switch on", chromedp.Click("#live"))
	p.becomes("live", `document.querySelector("#live").getAttribute("aria-pressed") === "true" && document.querySelector(".foot").textContent.includes("live")`)
	index(p.t, e, "millrace-web-2026.03.01", 4000,
		document(time.Now(), 4000, "ERROR", "a brand new line "+attack, nil), document(time.Now(), 4001, "INFO", "not an error", nil))
	p.becomes("the new line is on top", `document.querySelector(".row .message").textContent.startsWith("a brand new line")`)
	if got := p.value(`[...document.querySelectorAll(".row .message")].filter((x) => x.textContent.startsWith("a brand new line") || x.textContent === "not an error").length`); got != "1" {
		p.t.Errorf("new lines: %s, want the one that matches", got)
	}
	p.shot("live")
	p.do("switch off", chromedp.Click("#live"))
}

func (p driver) showsAlerts() {
	p.do("go to alerts", chromedp.Click(`nav a[data-view=alerts]`))
	p.becomes("the alert is listed", `document.querySelector(".grid tbody")?.textContent.includes("web / many-timeouts")`)
	p.do("open it", chromedp.Click(".grid button.open"))
	p.becomes("its fields are shown", `document.querySelector(".grid tr.sub")?.textContent.includes("first_event")`)
	if got := p.value(`document.querySelectorAll("main img, main script").length`); got != "0" {
		p.t.Errorf("the attack in an alert has made %s elements", got)
	}
	p.shot("alerts")
}

func (p driver) showsTopics() {
	p.do("go to topics", chromedp.Click(`nav a[data-view=topics]`))
	p.becomes("the topic is listed with its size", `/logs\.web.*300.*KiB/.test(document.querySelector(".grid tbody tr.main")?.textContent)`)
	p.becomes("its rate is known", `[...document.querySelectorAll(".grid tbody tr.main")].some((r) => /^\d/.test(r.children[5].textContent))`)
	p.do("open it", chromedp.Click(`//button[span="logs.web"]`))
	p.becomes("its partitions are shown", `document.querySelectorAll(".grid tr.sub tbody tr").length === 3`)
	p.shot("topics")
	p.do("dark", chromedp.Click("#theme"))
	p.shot("topics-other-theme")
}

func (p driver) showsGroups() {
	p.do("go to groups", chromedp.Click(`nav a[data-view=groups]`))
	p.becomes("the group is listed", `document.querySelector(".grid tbody")?.textContent.includes("millrace-web")`)
	p.do("open it", chromedp.Click(`//button[span="millrace-web"]`))
	p.becomes("its offsets are shown", `document.querySelector(".grid tr.sub tbody")?.textContent.includes("logs.web")`)
	p.shot("groups")
}

func (p driver) showsErrors() {
	p.do("a broken query", chromedp.KeyEvent("/"))
	p.becomes("search has the focus", `document.activeElement.id === "query"`)
	p.do("type it", chromedp.SetValue("#query", `level:[ERROR`), chromedp.KeyEvent(kb.Enter))
	p.becomes("the error says what to do", `document.querySelector(".problem")?.textContent.includes("Lucene syntax")`)
	p.shot("error")
}

func jsString(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(text)
}
