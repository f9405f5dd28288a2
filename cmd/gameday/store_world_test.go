package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gameday-sh/gameday/internal/history/postgrestest"
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

func TestASecretReachesNoRowOfASharedStore(t *testing.T) {
	address, home := postgrestest.Start(t), filepath.Join(t.TempDir(), "state")
	const secret = "pa55 word&more="
	scenario := filepath.Join(t.TempDir(), "brief.hcl")
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	// The same value stands where nobody said that it is a secret.
	write(t, scenario, strings.Replace(briefly, `url   = sandbox.shop.url`, `headers = { Authorization = "Bearer ${var.token}" }
  url   = "http://127.0.0.1:1/?encoded=${var.encoded}&base64=${var.base64}"`, 1)+`
variable "token" { sensitive = true }
variable "encoded" {}
variable "base64" {}
`)
	p := gameday(t, home, "run", "--plain", "--store", address, "--var", "token="+secret, "--var", "encoded="+url.QueryEscape(secret), "--var", "base64="+encoded, scenario)
	if code := p.wait(time.Minute); code == 2 {
		t.Fatal(p.said.String())
	}
	rows := rowsOf(t, address)
	if !strings.Contains(rows, "127.0.0.1:1/") {
		t.Fatalf("the address that holds the secret is nowhere, so this shows nothing:\n%s\n%s", p.said.String(), rows)
	}
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), encoded} {
		if i := strings.Index(rows, form); i >= 0 {
			t.Errorf("the store holds %q: %s", form, rows[max(0, i-200):i+40])
		}
	}
}

// TestWhatTheWatchdogMendsReachesTheSharedStore: the run that ended with something broken
// is in the store when its watchdog mends it; the one whose runner died is not there yet.
func TestWhatTheWatchdogMendsReachesTheSharedStore(t *testing.T) {
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
