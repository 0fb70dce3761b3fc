package metrics_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

const grafanaDir = "../../packaging/grafana"

// object is a JSON object as Grafana reads it.
type object = map[string]any

// source is the data source that whoever looks has chosen.
func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// grafana is a dashboard in the form of Grafana 10 and later.
func grafana(d dashboard) object {
	variables := []any{
		object{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0, "multi": false, "includeAll": false, "options": []any{}, "current": object{}},
		variable("instance", "up{job=\"millrace\"}"),
	}
	for _, v := range d.variables {
		variables = append(variables, variable(v[0], v[1]+`{instance=~"$instance"}`))
	}
	var panels []any
	id, y := 0, 0
	for _, r := range d.rows {
		id++
		panels = append(panels, object{
			"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{}, "gridPos": object{"h": 1, "w": 24, "x": 0, "y": y},
		})
		y++
		height := 8
		if r.panels[0].kind == "stat" {
			height = 4
		}
		width := 24 / len(r.panels)
		for i, p := range r.panels {
			id++
			panels = append(panels, graph(p, id, object{"h": height, "w": width, "x": i * width, "y": y}))
		}
		y += height
	}
	return object{
		"uid": d.uid, "title": d.title, "description": d.about, "tags": []any{"millrace"}, "schemaVersion": 39, "version": 1, "id": nil, "editable": true,
		"graphTooltip": 1, "refresh": "30s", "timezone": "browser", "time": object{"from": "now-3h", "to": "now"},
		"annotations": object{"list": []any{}}, "links": []any{object{
			"type": "dashboards", "title": "Millrace", "tags": []any{"millrace"}, "asDropdown": true, "includeVars": true, "keepTime": true, "icon": "external link", "targetBlank": false, "tooltip": "", "url": "",
		}},
		"templating": object{"list": variables}, "panels": panels,
	}
}

func variable(label, series string) object {
	query := "label_values(" + series + ", " + label + ")"
	return object{
		"name": label, "label": label, "type": "query", "datasource": source(), "query": object{"query": query, "refId": "variable"}, "definition": query,
		"refresh": 2, "sort": 1, "hide": 0, "multi": true, "includeAll": true, "allValue": ".*", "options": []any{}, "regex": "",
		"current": object{"text": []any{"All"}, "value": []any{"$__all"}},
	}
}

func graph(p panel, id int, at object) object {
	kind := p.kind
	if kind == "" {
		kind = "timeseries"
	}
	var targets []any
	for i, s := range p.series {
		target := object{"refId": string(rune('A' + i)), "datasource": source(), "expr": s.expr, "legendFormat": s.legend, "editorMode": "code", "range": kind == "timeseries", "instant": kind != "timeseries"}
		if kind == "table" {
			target["format"] = "table"
		}
		targets = append(targets, target)
	}
	options := object{"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	switch kind {
	case "stat":
		options = object{"reduceOptions": object{"calcs": []any{"lastNotNull"}, "fields": "", "values": false}, "colorMode": "value", "graphMode": "none", "textMode": "auto", "orientation": "auto", "justifyMode": "auto"}
	case "table":
		options = object{"showHeader": true, "cellHeight": "sm"}
	}
	return object{
		"id": id, "type": kind, "title": p.title, "description": p.about, "gridPos": at, "datasource": source(), "targets": targets, "options": options,
		"fieldConfig": object{"defaults": object{"unit": p.unit, "min": nil, "custom": object{}}, "overrides": []any{}},
	}
}

// TestDashboards: the files are those of the code, what they ask exists, and they have what
// Grafana wants to see.
func TestDashboards(t *testing.T) {
	e := newExpressions(t)
	files := map[string]bool{}
	for _, d := range dashboards() {
		t.Run(d.uid, func(t *testing.T) {
			for _, r := range d.rows {
				for _, p := range r.panels {
					for _, s := range p.series {
						for _, wrong := range e.check(s.expr) {
							t.Errorf("%s: %s: %s", p.title, s.expr, wrong)
						}
					}
				}
			}
			want, err := json.MarshalIndent(grafana(d), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, '\n')
			name := filepath.Join(grafanaDir, d.file)
			if *rewrite {
				if err := os.WriteFile(name, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			have, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(have, want) {
				t.Errorf("%s is not current: run go test ./test/metrics -rewrite", name)
			}
			checkForm(t, have)
		})
		files[d.file] = true
	}
	entries, err := os.ReadDir(grafanaDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range entries {
		if filepath.Ext(f.Name()) == ".json" && !files[f.Name()] {
			t.Errorf("%s is made by nothing", f.Name())
		}
	}
}

// gridPos is where a panel stands: Grafana's grid is 24 wide.
type gridPos struct{ X, Y, W, H int }

// checkForm reads a dashboard back as Grafana does and looks for what it insists on.
func checkForm(t *testing.T, content []byte) {
	t.Helper()
	var d struct {
		UID           string `json:"uid"`
		Title         string `json:"title"`
		SchemaVersion int    `json:"schemaVersion"`
		Panels        []struct {
			ID      int     `json:"id"`
			Type    string  `json:"type"`
			Title   string  `json:"title"`
			GridPos gridPos `json:"gridPos"`
			Targets []struct {
				RefID      string `json:"refId"`
				Expr       string `json:"expr"`
				Datasource struct {
					UID string `json:"uid"`
				} `json:"datasource"`
			} `json:"targets"`
		} `json:"panels"`
		Templating struct {
			List []struct{ Name, Type string } `json:"list"`
		} `json:"templating"`
	}
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || len(d.UID) > 40 || d.Title == "" || d.SchemaVersion < 36 || len(d.Panels) == 0 {
		t.Errorf("uid %q, title %q, schema %d, %d panels", d.UID, d.Title, d.SchemaVersion, len(d.Panels))
	}
	if len(d.Templating.List) < 2 || d.Templating.List[0].Type != "datasource" {
		t.Error("there is no choice of the data source")
	}
	seen, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if seen[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %q has the id %d", p.Title, p.ID)
		}
		seen[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q stands at %v", p.Title, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, there := taken[[2]int{x, y}]; there {
					t.Fatalf("panels %q and %q lie over each other", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" || q.Expr == "" || q.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q: query %q %q of %q", p.Title, q.RefID, q.Expr, q.Datasource.UID)
			}
			refs[q.RefID] = true
		}
	}
}
