package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// pick returns one of the values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func address(r *rand.Rand) string {
	return fmt.Sprintf("%d.%d.%d.%d", pick(r, 81, 93, 185, 203), r.IntN(40), r.IntN(256), 1+r.IntN(254))
}

func userAgent(r *rand.Rand) string {
	return pick(r,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		"curl/8.11.0", "kube-probe/1.33")
}

// accessLine is a line of the combined log format.
func accessLine(r *rand.Rand, at time.Time, burst bool) string {
	agent := userAgent(r)
	method, path, status := "GET", requestPath(r), 200
	switch n := r.IntN(100); {
	case agent == "kube-probe/1.33":
		path = "/healthz"
	case burst && n < 35:
		method, path, status = "POST", "/api/checkout", pick(r, 502, 503, 504, 500)
	case n < 6:
		path, status = pick(r, "/wp-login.php", "/.env", "/favicon.png", "/api/orders/0"), 404
	case n < 10:
		status = 304
	case n < 13:
		path, status = "/account", 302
	case n < 15:
		method, path, status = "POST", "/login", 401
	case n < 24:
		method, path, status = "POST", pick(r, "/api/cart", "/api/checkout", "/login"), 201
	}
	size := 200 + r.IntN(24_000)
	switch {
	case status == 304:
		size = 0
	case status >= 500:
		size = 559
	}
	return fmt.Sprintf(`%s - %s [%s] "%s %s HTTP/1.1" %d %d "%s" "%s"`,
		address(r), pick(r, "-", "-", "-", "-", "ines", "tomas", "li"), at.Format("02/Jan/2006:15:04:05 -0700"),
		method, path, status, size, pick(r, "-", "https://shop.example/", "https://shop.example/search?q=lamp"), agent)
}

func requestPath(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return "/"
	case 1:
		return fmt.Sprintf("/products/%d", 1000+r.IntN(400))
	case 2:
		return "/search?q=" + pick(r, "lamp", "desk+chair", "usb-c+cable", "caf%C3%A9", "notebook")
	case 3:
		return fmt.Sprintf("/static/app.%08x.js", r.Uint32()&0xff)
	case 4:
		return fmt.Sprintf("/api/orders/%d", 50_000+r.IntN(9000))
	default:
		return pick(r, "/cart", "/account", "/api/products?page=2", "/img/hero.webp")
	}
}

// javaTime is the layout of the application's dates; it writes them in UTC.
const javaTime = "2006-01-02 15:04:05,000"

// applicationEvent is an event of the Java application, a stack trace included.
func applicationEvent(r *rand.Rand, at time.Time, burst bool) string {
	thread := fmt.Sprintf("http-nio-8080-exec-%d", 1+r.IntN(16))
	event := func(level, logger, format string, args ...any) string {
		return fmt.Sprintf("%s %-5s [%s] com.example.shop.%s - ", at.UTC().Format(javaTime), level, thread, logger) + fmt.Sprintf(format, args...)
	}
	order := 50_000 + r.IntN(9000)
	switch n := r.IntN(100); {
	case burst && n < 40:
		return event("ERROR", "order.OrderService", "Order %d could not be placed after %d attempts", order, 1+r.IntN(3)) + timeoutTrace(r)
	case burst && n == 40:
		return event("ERROR", "report.ReportJob", "Export of orders failed") + memoryTrace()
	case n < 2:
		return event("ERROR", "cart.CartController", "Request failed for cart %08x", r.Uint32()) + nullTrace(r)
	case n < 8:
		return event("WARN", "pool.ConnectionPool", "Pool \"orders\" has %d of 32 connections in use, oldest is %d ms old", 24+r.IntN(8), r.IntN(30_000))
	case n < 30:
		return event("DEBUG", "cache.ProductCache", "Evicted %d entries in %d µs", r.IntN(500), 100+r.IntN(900))
	default:
		return event("INFO", "order.OrderService", "Order %d placed by customer %d: %d items, %d.%02d EUR", order, r.IntN(4000), 1+r.IntN(9), r.IntN(400), r.IntN(100))
	}
}

func timeoutTrace(r *rand.Rand) string {
	return "\n" + strings.Join([]string{
		"com.example.shop.order.OrderException: payment service did not answer",
		"\tat com.example.shop.order.OrderService.place(OrderService.java:118)",
		"\tat com.example.shop.order.OrderController.checkout(OrderController.java:64)",
		"\tat jdk.internal.reflect.GeneratedMethodAccessor57.invoke(Unknown Source)",
		"\tat org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1089)",
		"\tat java.base/java.lang.Thread.run(Thread.java:1583)",
		fmt.Sprintf("Caused by: java.net.http.HttpTimeoutException: request timed out after %d ms", 3000+r.IntN(2000)),
		"\tat java.net.http/jdk.internal.net.http.HttpClientImpl.send(HttpClientImpl.java:952)",
		"\tat com.example.shop.payment.PaymentClient.authorize(PaymentClient.java:41)",
		"\t... 38 more",
	}, "\n")
}

func nullTrace(r *rand.Rand) string {
	return "\n" + strings.Join([]string{
		`java.lang.NullPointerException: Cannot invoke "com.example.shop.cart.Item.price()" because "item" is null`,
		fmt.Sprintf("\tat com.example.shop.cart.CartService.total(CartService.java:%d)", 70+r.IntN(30)),
		"\tat com.example.shop.cart.CartController.show(CartController.java:33)",
		"\tat java.base/java.lang.Thread.run(Thread.java:1583)",
	}, "\n")
}

func memoryTrace() string {
	return "\n" + strings.Join([]string{
		"java.lang.OutOfMemoryError: Java heap space",
		"\tat java.base/java.util.Arrays.copyOf(Arrays.java:3541)",
		"\tat com.example.shop.report.ReportJob.collect(ReportJob.java:92)",
	}, "\n")
}

// paymentLine is one JSON object of the payment service.
func paymentLine(r *rand.Rand, at time.Time, burst bool) string {
	provider := pick(r, "northpay", "cardlink", "easybank")
	level, name, text := "info", "payment.authorized", "payment authorized"
	took := 20 + r.IntN(180)
	switch n := r.IntN(100); {
	case burst && n < 45:
		provider, level, name, text = "northpay", "error", "payment.failed", "provider timeout: context deadline exceeded"
		took = 3000 + r.IntN(2000)
	case burst && n == 45:
		provider, level, name, text = "northpay", "fatal", "provider.down", "circuit breaker opened: provider does not answer"
	case n < 4:
		level, name, text = "warn", "payment.declined", "payment declined by issuer: "+pick(r, "insufficient funds", "expired card", "3-D Secure failed")
	case n < 25:
		level, name, text = "debug", "token.refreshed", "access token refreshed"
	case n < 40:
		name, text = "payment.captured", "payment captured"
	}
	return fmt.Sprintf(`{"ts":"%s","level":"%s","event_name":"%s","msg":"%s","provider":"%s","order_id":%d,"amount":%d.%02d,"currency":"EUR","duration_ms":%d,"trace_id":"%016x%016x"}`,
		at.UTC().Format("2006-01-02T15:04:05.000Z"), level, name, text, provider, 50_000+r.IntN(9000),
		1+r.IntN(400), r.IntN(100), took, r.Uint64(), r.Uint64())
}
