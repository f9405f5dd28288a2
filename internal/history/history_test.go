package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history/postgrestest"
	"github.com/gameday-sh/gameday/internal/state"
)

func result(name, scenario string, began time.Time, verdict experiments.Verdict) *experiments.Result {
	return &experiments.Result{
		Schema: experiments.ResultSchema, Run: name, Scenario: scenario, Began: began, Ended: began.Add(time.Minute),
		Verdict: verdict, Reason: "as it was", Digest: "sha256:1", Version: "v1", Host: "host",
		Hits:     []experiments.HitResult{{Hit: experiments.Hit{Fault: "f", Kind: "k", Target: "pod a", ID: "f/1/pod a"}, Step: experiments.Verified, Proof: "seen"}},
		Timeline: []experiments.Moment{{At: began, Kind: "phase", Text: "it began"}},
	}
}

func put(t *testing.T, s Store, r *experiments.Result, files map[string][]byte) {
	t.Helper()
	if err := s.Put(t.Context(), &Run{Result: r, Files: files}); err != nil {
		t.Fatal(err)
	}
}

func names(list []Entry) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Run)
	}
	return out
}

// eachStore runs a test on every kind of store; open opens the same one again.
func eachStore(t *testing.T, test func(t *testing.T, open func() Store)) {
	t.Run("folder", func(t *testing.T) {
		dir, err := state.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		test(t, func() Store { return NewFolder(dir) })
	})
	t.Run("postgres", func(t *testing.T) {
		address := postgrestest.Start(t)
		test(t, func() Store {
			s, err := OpenPostgres(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		})
	})
}

var began = time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)

func TestRunsComeBackAsTheyWerePut(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		whole := bytes.Repeat([]byte("0123456789abcdef\x00\xff"), 40_000) // compressed where that is done
		put(t, s, result("20261125-150000-slow-0001", "slow", began, experiments.Held), map[string][]byte{"result.json": whole, "scenario/shop.hcl": []byte("scenario"), "empty": {}})
		put(t, s, result("20261125-160000-slow-0002", "slow", began.Add(time.Hour), experiments.Refuted), nil)
		put(t, s, result("20261125-170000-lost-0003", "lost", began.Add(2*time.Hour), experiments.NotRestored), nil)

		again := open()
		for _, test := range []struct {
			q    Query
			want []string
		}{
			{Query{}, []string{"20261125-170000-lost-0003", "20261125-160000-slow-0002", "20261125-150000-slow-0001"}},
			{Query{Limit: 2}, []string{"20261125-170000-lost-0003", "20261125-160000-slow-0002"}},
			{Query{Scenario: "slow"}, []string{"20261125-160000-slow-0002", "20261125-150000-slow-0001"}},
			{Query{Scenario: "l*", Limit: 5}, []string{"20261125-170000-lost-0003"}},
			{Query{Standings: []string{"held", "refuted"}, Limit: 1}, []string{"20261125-160000-slow-0002"}},
			{Query{Standings: []string{"NOT RESTORED"}}, []string{"20261125-170000-lost-0003"}},
			{Query{Since: began.Add(time.Hour)}, []string{"20261125-170000-lost-0003", "20261125-160000-slow-0002"}},
			{Query{Until: began.Add(time.Hour)}, []string{"20261125-150000-slow-0001"}},
			{Query{Scenario: "none"}, nil},
		} {
			list, err := again.List(t.Context(), test.q)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(list); !slices.Equal(got, test.want) {
				t.Errorf("%+v gave %q, want %q", test.q, got, test.want)
			}
		}
		list, err := again.List(t.Context(), Query{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if r := list[0].Result; r == nil || r.Reason != "as it was" || len(r.Hits) != 1 || r.Hits[0].Target != "pod a" || r.Hits[0].Proof != "" || len(r.Timeline) != 0 {
			t.Errorf("the outline is %+v", r)
		}
		for name, want := range map[string][]byte{"result.json": whole, "scenario/shop.hcl": []byte("scenario"), "empty": {}} {
			if got, err := again.File(t.Context(), "20261125-150000-slow-0001", name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s came back with %d bytes (%v), want %d", name, len(got), err, len(want))
			}
		}
		for _, missing := range [][2]string{{"20261125-150000-slow-0001", "none"}, {"none", "result.json"}, {"../x", "y"}, {"20261125-150000-slow-0001", "../../secret"}, {"", ""}} {
			if _, err := again.File(t.Context(), missing[0], missing[1]); !errors.Is(err, ErrNotFound) && err == nil {
				t.Errorf("%q was found: %v", missing, err)
			}
		}
	})
}

func TestAFileIsReplacedOnlyByWhoHasReadItsNewestState(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		const run = "20261125-150000-slow-0001"
		put(t, s, result(run, "slow", began, experiments.Held), map[string][]byte{"report.md": []byte("one")})
		if err := s.Replace(t.Context(), run, "report.md", []byte("one"), []byte("two")); err != nil {
			t.Fatal(err)
		}
		if err := s.Replace(t.Context(), run, "report.md", []byte("one"), []byte("three")); !errors.Is(err, ErrChanged) {
			t.Errorf("a change of an old state gave %v", err)
		}
		if err := s.Replace(t.Context(), run, "new.md", nil, []byte("new")); err != nil {
			t.Error(err)
		}
		if err := s.Replace(t.Context(), "none", "report.md", nil, []byte("x")); !errors.Is(err, ErrNotFound) {
			t.Errorf("a run that is not there gave %v", err)
		}
		if got, err := s.File(t.Context(), run, "report.md"); string(got) != "two" {
			t.Errorf("it holds %q (%v)", got, err)
		}
	})
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		const writers, each = 6, 12
		first := open()
		put(t, first, result("20261125-140000-notes-0000", "notes", began.Add(-time.Hour), experiments.Held), map[string][]byte{"notes": {}})
		var group sync.WaitGroup
		problems := make([]error, writers)
		for w := range writers {
			s := open()
			group.Go(func() {
				for i := range each {
					run := fmt.Sprintf("20261125-1500%02d-w%d-%04x", i, w, i)
					r := result(run, fmt.Sprintf("w%d", w), began.Add(time.Duration(i)*time.Second), experiments.Held)
					err := s.Put(context.Background(), &Run{Result: r, Files: map[string][]byte{"result.json": []byte(run)}})
					for err == nil { // everybody adds a line to one file
						is, reading := s.File(context.Background(), "20261125-140000-notes-0000", "notes")
						if err = reading; err != nil {
							break
						}
						now := append(slices.Clone(is), []byte(run+"\n")...)
						replacing := s.Replace(context.Background(), "20261125-140000-notes-0000", "notes", is, now)
						if replacing == nil {
							break
						}
						if !errors.Is(replacing, ErrChanged) {
							err = replacing
						}
					}
					problems[w] = errors.Join(problems[w], err)
				}
			})
		}
		group.Wait()
		if err := errors.Join(problems...); err != nil {
			t.Fatal(err)
		}
		list, err := first.List(t.Context(), Query{Scenario: "w*"})
		if err != nil || len(list) != writers*each {
			t.Fatalf("%d runs of %d are there (%v)", len(list), writers*each, err)
		}
		for _, e := range list {
			if text, err := first.File(t.Context(), e.Run, "result.json"); string(text) != e.Run {
				t.Errorf("%s holds %q (%v)", e.Run, text, err)
			}
		}
		notes, err := first.File(t.Context(), "20261125-140000-notes-0000", "notes")
		if lines := strings.Count(string(notes), "\n"); err != nil || lines != writers*each {
			t.Errorf("%d lines of %d are there (%v)", lines, writers*each, err)
		}
	})
}

func TestTwoProcessesThatOpenAnEmptyDatabaseMakeItsTablesOnce(t *testing.T) {
	address := postgrestest.Start(t)
	var group sync.WaitGroup
	problems := make([]error, 8)
	for i := range problems {
		group.Go(func() {
			s, err := OpenPostgres(context.Background(), address)
			if err == nil {
				err = s.Close()
			}
			problems[i] = err
		})
	}
	group.Wait()
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "insert into gameday_schema (version) values (9)"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPostgres(t.Context(), address); err == nil || !strings.Contains(err.Error(), "use a newer gameday") {
		t.Errorf("tables of a newer gameday gave %v", err)
	}
}

func TestADatabaseThatIsAwayIsNamedWithoutItsPassword(t *testing.T) {
	for _, address := range []string{
		"postgres://gameday:hunter2@127.0.0.1:1/history",
		"postgres://gameday:hunter2@127.0.0.1:notaport/history",
		"postgres://gameday:hunter2@127.0.0.1:1/history?sslmode=odd",
	} {
		_, err := OpenPostgres(t.Context(), address)
		if err == nil {
			t.Errorf("%s was opened", address)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in: %v", err)
		}
		t.Log(err)
	}
}
