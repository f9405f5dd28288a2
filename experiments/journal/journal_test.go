package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
)

// hitStep is a step of a hit; at Planned and Intended it carries the whole hit.
func hitStep(id string, step experiments.Step) experiments.Event {
	event := experiments.Event{At: time.Unix(1_800_000_000, 0).UTC(), Type: experiments.EventHit, Phase: experiments.PhaseDisrupt, Hit: &experiments.HitEvent{ID: id, Step: step}}
	if step == experiments.Planned || step == experiments.Intended {
		event.Hit.Hit = &experiments.Hit{
			ID: id, Fault: "late", Kind: "toxiproxy_latency", Round: 1, Target: "proxy payments",
			Holds: "toxiproxy 127.0.0.1:8474 payments", Spec: json.RawMessage(`{"proxy":"payments"}`),
		}
	}
	return event
}

func note(text string) experiments.Event {
	return experiments.Event{At: time.Unix(1_800_000_000, 0).UTC(), Type: experiments.EventNote, Text: text}
}

func sample(n int) experiments.Event {
	return experiments.Event{At: time.Unix(1_800_000_000, 0).UTC(), Type: experiments.EventSample, Series: "probe.front", Sample: &experiments.Sample{Took: time.Duration(n), Why: strings.Repeat("x", 200)}}
}

// life is a short run as a runner would write it.
func life() []experiments.Event {
	return []experiments.Event{
		note("begin"),
		hitStep("late/1/proxy payments", experiments.Planned),
		hitStep("late/1/proxy payments", experiments.Intended),
		sample(1),
		hitStep("late/1/proxy payments", experiments.Injected),
		hitStep("late/1/proxy payments", experiments.Reverting),
		hitStep("late/1/proxy payments", experiments.Verified),
	}
}

// written makes a journal of these events and returns its directory and its text.
func written(t testing.TB, events ...experiments.Event) (dir string, text []byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	j, err := Create(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Commit(events...), j.Close()); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return dir, text
}

// planted puts a journal's text into a directory of its own.
func planted(t testing.TB, text []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// plain writes events as text, to compare them.
func plain(t testing.TB, events []experiments.Event) []string {
	t.Helper()
	list := make([]string, 0, len(events))
	for _, event := range events {
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}

func readAll(t testing.TB, dir string) *Contents {
	t.Helper()
	contents, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

// frameEnds are the offsets at which the frames of a sound journal end; the first
// is the end of the header.
func frameEnds(t testing.TB, events []experiments.Event) []int {
	t.Helper()
	ends := []int{len(header)}
	for _, payload := range plain(t, events) {
		ends = append(ends, ends[len(ends)-1]+frameBytes+len(payload))
	}
	return ends
}

func TestWhatIsCommittedIsReadBackInOrder(t *testing.T) {
	events := life()
	dir, text := written(t, events...)
	contents := readAll(t, dir)
	if got, want := plain(t, contents.Events), plain(t, events); !slices.Equal(got, want) {
		t.Errorf("read\n%s\nwrote\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if contents.Torn != 0 || len(contents.Damage) != 0 {
		t.Errorf("a sound journal reads as torn %d, damaged %v", contents.Torn, contents.Damage)
	}
	if ends := frameEnds(t, events); ends[len(ends)-1] != len(text) {
		t.Errorf("the journal has %d bytes, its frames %d", len(text), ends[len(ends)-1])
	}
}

func TestAJournalCutOffAnywhereGivesTheEventsBeforeTheCut(t *testing.T) {
	events := life()
	_, text := written(t, events...)
	ends := frameEnds(t, events)
	want := plain(t, events)
	for size := range len(text) + 1 {
		whole := 0
		for whole+1 < len(ends) && ends[whole+1] <= size {
			whole++
		}
		dir := planted(t, text[:size])
		contents := readAll(t, dir)
		if got := plain(t, contents.Events); !slices.Equal(got, want[:whole]) {
			t.Fatalf("cut at %d: read %d events, want the first %d", size, len(got), whole)
		}
		torn := size - ends[whole]
		if size < len(header) {
			torn = size
		}
		// Zeros at the end are taken for reserved space.
		if (contents.Torn > 0) != (torn > 0) || contents.Torn > int64(torn) || len(contents.Damage) != 0 {
			t.Fatalf("cut at %d: torn %d and damage %v, want torn %d", size, contents.Torn, contents.Damage, torn)
		}

		// Whoever mends goes on from there, and a third reader sees both.
		j, contents, err := Open(dir, nil)
		if err != nil {
			t.Fatalf("cut at %d: open: %v", size, err)
		}
		if got := plain(t, contents.Events); !slices.Equal(got, want[:whole]) {
			t.Fatalf("cut at %d: opened with %d events, want %d", size, len(got), whole)
		}
		more := note("mended")
		if err := errors.Join(j.Append(more), j.Close()); err != nil {
			t.Fatalf("cut at %d: go on: %v", size, err)
		}
		contents = readAll(t, dir)
		if got := plain(t, contents.Events); !slices.Equal(got, append(slices.Clone(want[:whole]), plain(t, []experiments.Event{more})...)) || contents.Torn != 0 || len(contents.Damage) != 0 {
			t.Fatalf("cut at %d: after going on there are %d events, torn %d, damage %v", size, len(got), contents.Torn, contents.Damage)
		}
	}
}

func TestAFlippedBitAnywhereIsReportedAndCostsNoMoreThanItsEvent(t *testing.T) {
	events := life()
	_, text := written(t, events...)
	ends := frameEnds(t, events)
	want := plain(t, events)
	for bit := range len(text) * 8 {
		if testing.Short() && bit%7 != 0 {
			continue
		}
		at := bit / 8
		bad := slices.Clone(text)
		bad[at] ^= 1 << (bit % 8)
		contents, err := read(bytes.NewReader(bad))
		if err != nil {
			t.Fatalf("bit %d of byte %d: %v", bit%8, at, err)
		}
		if len(contents.Damage) != 1 || contents.Torn != 0 {
			t.Fatalf("bit %d of byte %d: damage %v, torn %d; want one stretch of damage", bit%8, at, contents.Damage, contents.Torn)
		}
		expected := slices.Clone(want)
		for n := range want {
			if at >= ends[n] && at < ends[n+1] {
				expected = slices.Delete(expected, n, n+1)
				break
			}
		}
		if got := plain(t, contents.Events); !slices.Equal(got, expected) {
			t.Fatalf("bit %d of byte %d: read\n%s\nwant\n%s", bit%8, at, strings.Join(got, "\n"), strings.Join(expected, "\n"))
		}
	}
}

func TestADamagedLastEventIsNotTakenForATornOne(t *testing.T) {
	// The last frame is whole, so its writer did finish it: what it said was acted upon.
	events := []experiments.Event{hitStep("late/1/x", experiments.Planned), hitStep("late/1/x", experiments.Intended)}
	_, text := written(t, events...)
	text[len(text)-3] ^= 0x20
	dir := planted(t, text)
	// Whoever mends first may die too: the damage must not be cut off like a torn tail.
	for n := range 3 {
		j, contents, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(contents.Damage) != 1 || contents.Torn != 0 || len(contents.Events) != 1+n {
			t.Errorf("open %d: damage %v, torn %d, %d events; want one stretch of damage", n, contents.Damage, contents.Torn, len(contents.Events))
		}
		if left := experiments.Outstanding(contents.Events, len(contents.Damage) > 0); len(left) != 1 {
			t.Errorf("open %d: %d hits are outstanding, want the one whose intent was lost", n, len(left))
		}
		if err := errors.Join(j.Commit(note("mending")), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestZerosBehindTheLastFrameAreReservedSpace(t *testing.T) {
	_, text := written(t, life()...)
	contents := readAll(t, planted(t, append(text, make([]byte, 100_000)...)))
	if len(contents.Events) != len(life()) || contents.Torn != 0 || len(contents.Damage) != 0 {
		t.Errorf("%d events, torn %d, damage %v", len(contents.Events), contents.Torn, contents.Damage)
	}
}

func TestAFrameInsideAPayloadIsNotAnEvent(t *testing.T) {
	inner := appendFrame(nil, []byte(`{"type":"hit","hit":{"id":"planted","step":"planned"}}`))
	dir, _ := written(t, note("before"), note(string(inner)), note("after"))
	contents := readAll(t, dir)
	if len(contents.Events) != 3 {
		t.Fatalf("%d events, want 3", len(contents.Events))
	}
	for _, event := range contents.Events {
		if event.Hit != nil {
			t.Errorf("an event was read from inside another: %+v", event.Hit)
		}
	}
}

func TestOneProcessWritesAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	first, err := Create(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer got %v, want ErrLocked", err)
	}
	if _, err := Create(dir, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("a journal on top of a journal got %v, want os.ErrExist", err)
	}
	if alive, err := Alive(dir); !alive || err != nil {
		t.Errorf("alive while it is open: %v, %v", alive, err)
	}
	if err := first.Commit(note("still writing")); err != nil {
		t.Errorf("the first writer: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if alive, err := Alive(dir); alive || err != nil {
		t.Errorf("alive after it was closed: %v, %v", alive, err)
	}
	second, contents, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(contents.Events) != 1 {
		t.Errorf("%d events, want 1", len(contents.Events))
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLookingAtADeadRunTwiceAtOnceNeverFindsItAlive(t *testing.T) {
	dir, _ := written(t, note("dead"))
	var lookers sync.WaitGroup
	for range 8 {
		lookers.Go(func() {
			for range 300 {
				if alive, err := Alive(dir); alive || err != nil {
					t.Errorf("a journal that nobody writes: alive %v, %v", alive, err)
					return
				}
			}
		})
	}
	lookers.Wait()
}

func TestGroupCommitKeepsEveryEventInOneOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	j, err := Create(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Reserve(1 << 20); err != nil {
		t.Fatal(err)
	}
	const writers, each = 32, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := range each {
				id := fmt.Sprintf("late/%d/%d", w, n)
				if err := j.Commit(hitStep(id, experiments.Planned), hitStep(id, experiments.Intended)); err != nil {
					t.Error(err)
				}
				// It must be in the file when Commit returns, whoever did the fsync.
				if n == each-1 {
					if contents := readAll(t, dir); !slices.ContainsFunc(contents.Events, func(e experiments.Event) bool { return e.Hit.ID == id }) {
						t.Errorf("%s was committed and is not there", id)
					}
				}
			}
		})
	}
	group.Wait()
	if j.synced != j.offset {
		t.Errorf("%d of %d bytes were synced", j.synced, j.offset)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	contents := readAll(t, dir)
	if len(contents.Events) != 2*writers*each || contents.Torn != 0 || len(contents.Damage) != 0 {
		t.Fatalf("%d events, torn %d, damage %v; want %d", len(contents.Events), contents.Torn, contents.Damage, 2*writers*each)
	}
	next := map[string]int{}
	for i := 0; i < len(contents.Events); i += 2 {
		first, second := contents.Events[i].Hit, contents.Events[i+1].Hit
		if first.ID != second.ID || first.Step != experiments.Planned || second.Step != experiments.Intended {
			t.Fatalf("events %d and %d are %s %s and %s %s: one commit was torn apart", i, i+1, first.ID, first.Step, second.ID, second.Step)
		}
		_, rest, _ := strings.Cut(first.ID, "/")
		writer, number, _ := strings.Cut(rest, "/")
		if number != fmt.Sprint(next[writer]) {
			t.Fatalf("writer %s wrote %s after %d others", writer, number, next[writer])
		}
		next[writer]++
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	// Even when the user's umask would allow more.
	dir, _ := written(t, note("private"))
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestAJournalThatOthersCanWriteIsNotActedUpon(t *testing.T) {
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666} {
		t.Run(mode.String(), func(t *testing.T) {
			dir, _ := written(t, life()...)
			path := filepath.Join(dir, FileName)
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := Open(dir, nil)
			if err == nil || !strings.Contains(err.Error(), "written by others") || !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("opened with %v", err)
			}
			// The refusal gives the lock back.
			if alive, err := Alive(dir); alive || err != nil {
				t.Errorf("alive %v, %v after it was refused", alive, err)
			}
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			j, _, err := Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// onto puts another file under a journal, one that the kernel itself refuses to
// write or to sync.
func onto(t *testing.T, path string, flags int) *Journal {
	t.Helper()
	j, err := Create(filepath.Join(t.TempDir(), "run"), nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	old := j.file
	j.file = file
	t.Cleanup(func() {
		if err := errors.Join(file.Close(), old.Close()); err != nil {
			t.Error(err)
		}
	})
	return j
}

func TestAfterAFailedWriteNothingIsEverWrittenAgain(t *testing.T) {
	j := onto(t, "/dev/full", os.O_RDWR)
	err := j.Append(hitStep("late/1/x", experiments.Intended))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), j.path) {
		t.Fatalf("a write on a full device: %v", err)
	}
	// Even when the device would take it now: a reader finds nothing behind a torn frame.
	working, openErr := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if openErr != nil {
		t.Fatal(openErr)
	}
	full := j.file
	j.file = working
	for name, again := range map[string]func() error{
		"append": func() error { return j.Append(note("more")) },
		"commit": func() error { return j.Commit(note("more")) },
	} {
		if got := again(); !errors.Is(got, syscall.ENOSPC) {
			t.Errorf("%s after it: %v, want the first error", name, got)
		}
	}
	j.file = full
	if err := working.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedFsyncIsNeverRetried(t *testing.T) {
	j := onto(t, os.DevNull, os.O_RDWR) // takes writes, and refuses fdatasync
	if err := j.Append(note("not waiting for the disk")); err != nil {
		t.Fatal(err)
	}
	err := j.Commit(hitStep("late/1/x", experiments.Intended))
	if err == nil || !strings.Contains(err.Error(), "fsync") {
		t.Fatalf("an fsync that fails: %v", err)
	}
	// A file that could be synced changes nothing: the pages may be lost already.
	working, createErr := os.Create(filepath.Join(t.TempDir(), "working"))
	if createErr != nil {
		t.Fatal(createErr)
	}
	null := j.file
	j.file = working
	for name, again := range map[string]func() error{
		"append": func() error { return j.Append(note("more")) },
		"commit": func() error { return j.Commit(note("more")) },
		"sync":   j.Sync,
	} {
		if got := again(); got == nil || got.Error() != err.Error() {
			t.Errorf("%s after it: %v, want the first error", name, got)
		}
	}
	j.file = null
	if err := working.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnEventThatCouldNotBeReadBackIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	j, err := Create(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	huge := hitStep("late/1/x", experiments.Intended)
	huge.Hit.Hit.Spec = json.RawMessage(`"` + strings.Repeat("x", maxPayload) + `"`)
	if err := j.Commit(huge); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("an event beyond what a reader takes: %v", err)
	}
	if err := errors.Join(j.Commit(note("small")), j.Close()); err != nil {
		t.Fatal(err)
	}
	if contents := readAll(t, dir); len(contents.Events) != 1 || len(contents.Damage) != 0 {
		t.Errorf("%d events, damage %v", len(contents.Events), contents.Damage)
	}
}

func TestASecretDoesNotChangeWhatMendingNeeds(t *testing.T) {
	redact := func(secret string) func(string) string {
		return func(text string) string { return strings.ReplaceAll(text, secret, "(secret)") }
	}
	t.Run("a secret that is a word of the format leaves steps readable", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "run")
		j, err := Create(dir, redact("intended"))
		if err != nil {
			t.Fatal(err)
		}
		event := hitStep("late/1/x", experiments.Intended)
		event.Hit.Seen, event.Hit.Error = "seen intended", "said intended"
		if err := errors.Join(j.Commit(event), j.Close()); err != nil {
			t.Fatal(err)
		}
		contents := readAll(t, dir)
		if left := experiments.Outstanding(contents.Events, false); len(left) != 1 || left[0].Target != "proxy payments" {
			t.Fatalf("outstanding: %+v", left)
		}
		if got := contents.Events[0].Hit; got.Seen != "seen (secret)" || got.Error != "said (secret)" {
			t.Errorf("what was seen reads %q and %q", got.Seen, got.Error)
		}
		if event.Hit.Seen != "seen intended" {
			t.Error("the caller's event was changed")
		}
	})
	t.Run("a hit that holds a secret is refused before it is done", func(t *testing.T) {
		j, err := Create(filepath.Join(t.TempDir(), "run"), redact("payments"))
		if err != nil {
			t.Fatal(err)
		}
		err = j.Commit(hitStep("late/1/x", experiments.Intended))
		if err == nil || !strings.Contains(err.Error(), "secret") {
			t.Errorf("committed with %v", err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("other events lose it", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "run")
		j, err := Create(dir, redact("hunter2"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Commit(note("the password hunter2 was wrong")), j.Close()); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, dir).Events[0].Text; got != "the password (secret) was wrong" {
			t.Errorf("the note reads %q", got)
		}
	})
}

// tinyDisk mounts a file system of so many KiB.
func tinyDisk(t *testing.T, kib int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small tmpfs that can run full")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=700", kib)); err != nil {
		t.Skipf("mounting a small tmpfs that can run full is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill takes every block that is left.
func fill(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for {
		if _, err = file.Write(block); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOnAFullDiskSamplesAreDroppedAndMendingIsStillWritten(t *testing.T) {
	disk := tinyDisk(t, 1024)
	dir := filepath.Join(disk, "run")
	j, err := Create(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Reserve(256 << 10); err != nil {
		t.Fatal(err)
	}
	if err := j.Commit(sample(0), hitStep("late/1/x", experiments.Planned), hitStep("late/1/x", experiments.Intended)); err != nil {
		t.Fatal(err)
	}
	fill(t, disk)

	samples := 0
	for j.Dropped() == 0 {
		if err := j.Append(sample(samples)); err != nil {
			t.Fatalf("sample %d: %v", samples, err)
		}
		if samples++; samples > 10_000 {
			t.Fatal("no sample was ever dropped: the disk is not full")
		}
	}
	// The reserve is all there for mending, though samples keep coming.
	steps := 0
	for size := 0; size < 200<<10; steps++ {
		event := hitStep("late/1/x", experiments.Stuck)
		event.Hit.Error = strings.Repeat("e", 1000)
		if err := j.Commit(event); err != nil {
			t.Fatalf("step %d on a full disk, %d dropped: %v", steps, j.Dropped(), err)
		}
		if err := j.Append(sample(steps)); err != nil {
			t.Fatalf("a sample on a full disk: %v", err)
		}
		size += 1100
	}
	if err := j.Commit(hitStep("late/1/x", experiments.Verified)); err != nil {
		t.Fatal(err)
	}
	if j.Dropped() < steps {
		t.Errorf("%d of at least %d samples were dropped: they ate the reserve", j.Dropped(), steps)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	contents := readAll(t, dir)
	if contents.Torn != 0 || len(contents.Damage) != 0 {
		t.Errorf("torn %d, damage %v", contents.Torn, contents.Damage)
	}
	if last := contents.Events[len(contents.Events)-1]; last.Hit == nil || last.Hit.Step != experiments.Verified {
		t.Errorf("the last event is %+v, want the proof of mending", last)
	}
	if left := experiments.Outstanding(contents.Events, false); len(left) != 0 {
		t.Errorf("outstanding: %v", left)
	}
}

func TestWithoutRoomForMendingARunDoesNotBegin(t *testing.T) {
	disk := tinyDisk(t, 512)
	j, err := Create(filepath.Join(disk, "run"), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = j.Reserve(1 << 20)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") || !strings.Contains(err.Error(), "1024 KiB") {
		t.Errorf("reserving more than there is: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzRead plants any bytes as a journal. Nothing may fail, nothing may be read
// that no frame with a right checksum holds, and whoever mends can go on.
func FuzzRead(f *testing.F) {
	var sound []byte
	sound = append(sound, header...)
	for _, payload := range plain(f, life()) {
		sound = appendFrame(sound, []byte(payload))
	}
	f.Add(sound)
	f.Add(sound[:len(sound)-5])
	f.Add(append(slices.Clone(sound[:100]), sound[130:]...))
	f.Add([]byte(header))
	f.Add([]byte("gameXay"))
	f.Add([]byte("gameday journal 2\n"))
	f.Add(append(append([]byte(header), "noise"...), appendFrame(nil, []byte(`{"type":"note"}`))...))
	f.Add(appendFrame([]byte(header), []byte(`[]`)))
	f.Add(append([]byte(header), marker+"\xff\xff\xff\xff\x00\x00\x00\x00{}"...))
	f.Fuzz(func(t *testing.T, text []byte) {
		contents, err := read(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		accounted := contents.Torn
		for _, damage := range contents.Damage {
			if damage.Length <= 0 || damage.Offset < 0 || damage.Offset+damage.Length > int64(len(text)) {
				t.Errorf("damage %v of %d bytes", damage, len(text))
			}
			accounted += damage.Length
		}
		if rest := bytes.TrimRight(text, "\x00"); len(contents.Events) == 0 && len(rest) > len(header) && accounted == 0 {
			t.Errorf("%d bytes hold no event, and no damage is reported", len(rest))
		}
		dir := planted(t, text)
		j, opened, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := plain(t, contents.Events)
		if got := plain(t, opened.Events); !slices.Equal(got, before) {
			t.Errorf("read %q and opened %q", before, got)
		}
		more := []experiments.Event{note("mended"), note("over")}
		if err := errors.Join(j.Commit(more...), j.Close()); err != nil {
			t.Fatal(err)
		}
		if got := plain(t, readAll(t, dir).Events); !slices.Equal(got, append(before, plain(t, more)...)) {
			t.Errorf("after going on there are %q", got)
		}
	})
}
