package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gameday-sh/gameday/internal/history/postgrestest"
	"github.com/gameday-sh/gameday/reports"
)

// rowsOf is everything that a store holds, as text.
func rowsOf(t *testing.T, address string) string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	rows, err := db.Query(t.Context(), `select name, scenario, outline, false from gameday_run
		union all select run, name, content, packed from gameday_file`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var run, name string
		var text []byte
		var packed bool
		if err := rows.Scan(&run, &name, &text, &packed); err != nil {
			t.Fatal(err)
		}
		if packed {
			unpacked, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(unpacked); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&b, "%s %s: %s\n", run, name, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestASecretReachesNeitherARowOfASharedStoreNorAFile(t *testing.T) {
	t.Parallel()
	address, home := postgrestest.Start(t), filepath.Join(t.TempDir(), "state")
	// What Markdown, HTML, XML and JSON escape, each in its own way.
	const secret = `pa55_word*&"more"+=`
	scenario := filepath.Join(t.TempDir(), "brief.hcl")
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	// The same value stands where nobody said that it is a secret.
	text := strings.Replace(briefly, "seed = 1", `seed = 1
  description = "Plain ${var.plain}, in a URL ${var.encoded}, in base64 ${var.base64}."`, 1)
	write(t, scenario, strings.Replace(text, `url   = sandbox.shop.url`, `url   = "${sandbox.shop.url}/?t=${var.encoded}"
  headers = { Authorization = "Bearer ${var.token}" }`, 1)+`
variable "token" { sensitive = true }
variable "plain" {}
variable "encoded" {}
variable "base64" {}
`)
	p := gameday(t, home, "run", "--plain", "--store", address, "--var", "token="+secret, "--var", "plain="+secret, "--var", "encoded="+url.QueryEscape(secret), "--var", "base64="+encoded, scenario)
	p.ends(time.Minute, 0, "HELD")
	texts := map[string]string{"the store": rowsOf(t, address), "the screen": p.said.String()}
	for _, format := range reports.Formats() {
		texts[format.Name] = exits(t, 0, "report", "last", "--state", home, "--format", format.Name)
	}
	err := filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			texts[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if report := read(t, filepath.Join(runDir(t, home), "report.md")); !strings.Contains(report, "Plain (secret), in a URL (secret), in base64 (secret)") {
		t.Fatalf("the description is not there, so this shows nothing:\n%s", report)
	}
	for name, text := range texts {
		// As a reader, a browser and a parser of XML or JSON see it.
		for _, seen := range []string{text, html.UnescapeString(text), strings.ReplaceAll(text, `\`, "")} {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), encoded} {
				if i := strings.Index(seen, form); i >= 0 {
					t.Errorf("%s holds %q: %s", name, form, seen[max(0, i-100):i+40])
				}
			}
		}
	}
}

// TestWhatTheWatchdogMendsReachesTheSharedStore: the run that ended with something broken
// is in the store when its watchdog mends it; the one whose runner died is not there yet.
func TestWhatTheWatchdogMendsReachesTheSharedStore(t *testing.T) {
	t.Parallel()
	address := postgrestest.Start(t)
	shows := func(w *world, want string) {
		t.Helper()
		var out string
		poll(t, func() string { return out + read(t, filepath.Join(runDir(t, w.home), "watchdog.log")) }, func() bool {
			out = exits(t, 0, "runs", "--state", t.TempDir(), "--store", address)
			return strings.Contains(out, want)
		})
	}
	t.Run("after the end", func(t *testing.T) {
		w := newWorld(t)
		run := w.run("--var", "revert_within=1s", "--store", address)
		w.broken()
		resume := stopped(t, w.server.Pid)
		run.signal(syscall.SIGINT)
		run.ends(time.Minute, 6, "NOT RESTORED")
		shows(w, "NOT RESTORED")
		resume()
		w.mends()
		shows(w, "mended since")
	})
	t.Run("of a dead run", func(t *testing.T) {
		w := newWorld(t)
		run := w.run("--store", address)
		w.broken()
		run.signal(syscall.SIGKILL)
		w.mends()
		shows(w, "error  ")
	})
	t.Run("and what recover mends", func(t *testing.T) {
		w := newWorld(t)
		run := w.run()
		w.broken()
		watchdog := watchdogOf(t, w.home)
		stopped(t, watchdog)
		run.signal(syscall.SIGKILL)
		run.wait(20 * time.Second)
		if err := syscall.Kill(watchdog, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		gameday(t, w.home, "recover", "--store", "postgres://gameday:hunter2@127.0.0.1:1/history").ends(30*time.Second, 0, "mended", "is not in the shared store", "`gameday runs sync` tries again")
		w.mended()
		gameday(t, w.home, "runs", "sync", "--store", address).ends(30*time.Second, 0, "error ", "1 run brought")
	})
}
