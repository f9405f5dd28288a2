// Package journal keeps the events of a run on disk, so that what was broken can
// be mended by another process when the one that broke it is gone.
//
// A journal is one append-only file. It begins with a line that names the format;
// then come frames: a marker, the length of the payload, its CRC-32C, and the
// payload, which is one event as JSON. Nothing in a journal is ever trusted more
// than its checksum: a torn tail is cut off, and damage in the middle is skipped
// and reported, so that whoever mends can treat every hit as possibly done.
//
// One process writes at a time (flock). Space for mending is reserved before the
// first hit, so that a full disk cannot block a revert.
package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/crash"
)

// FileName is the journal's name in a run's directory.
const FileName = "journal"

const (
	header     = "gameday journal 1\n"
	marker     = "\x1e\x01gd"
	frameBytes = len(marker) + 4 + 4 // marker, length, CRC-32C; little-endian
	maxPayload = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrLocked tells that another process is writing the journal.
var ErrLocked = errors.New("another process is writing this journal")

// Journal is an open journal. It is safe for concurrent use.
type Journal struct {
	path   string
	redact func(string) string

	mu      sync.Mutex
	file    *os.File
	offset  int64
	reserve int64 // bytes kept free behind offset
	// allocated is how far the file's blocks reach, so that not every sample asks.
	allocated int64
	buffer    []byte
	failed    error // of a write or an fsync; sticky

	// Group commit: one fsync serves everyone who wrote before it began.
	sync    sync.Mutex
	synced  int64
	dropped int
}

// Create makes the directory (0700) and an empty journal (0600) in it, and locks it.
// Redact, if not nil, is applied to every payload before it is written.
func Create(dir string, redact func(string) string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the run's directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the journal: %w", err)
	}
	j := &Journal{path: path, file: file, redact: redact}
	if err := j.begin(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("create the journal %s: %w", path, err), file.Close())
	}
	return j, nil
}

func (j *Journal) begin(dir string) error {
	if err := lock(j.file); err != nil {
		return err
	}
	crash.Point("journal header")
	if _, err := j.file.WriteString(header); err != nil {
		return err
	}
	j.offset = int64(len(header))
	crash.Point("journal directory fsync")
	// The entry in the directory must survive too, and that of the directory itself.
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := syncDir(name); err != nil {
			return err
		}
	}
	return nil
}

// Open locks an existing journal for mending and goes on where its last whole
// frame ends; a torn tail is cut off. ErrLocked tells that its writer is alive.
func Open(dir string, redact func(string) string) (*Journal, *Contents, error) {
	path := filepath.Join(dir, FileName)
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open the journal: %w", err)
	}
	j := &Journal{path: path, file: file, redact: redact}
	contents, err := j.resume()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the journal %s: %w", path, err), file.Close())
	}
	return j, contents, nil
}

func (j *Journal) resume() (*Contents, error) {
	if err := lock(j.file); err != nil {
		return nil, err
	}
	if err := ours(j.file); err != nil {
		return nil, err
	}
	contents, err := read(j.file)
	if err != nil {
		return nil, err
	}
	if contents.end == 0 { // not even the header got to the disk
		if _, err := j.file.WriteAt([]byte(header), 0); err != nil {
			return nil, err
		}
		contents.end = int64(len(header))
	}
	if err := j.file.Truncate(contents.end); err != nil {
		return nil, fmt.Errorf("cut off the torn tail: %w", err)
	}
	j.offset = contents.end
	return contents, nil
}

// ours refuses a journal that somebody else could have written: what it says is
// acted upon.
func ours(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("it can be written by others (mode %v); what it says to revert cannot be trusted: check it, then `chmod 600` it", info.Mode().Perm())
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() && os.Geteuid() != 0 {
		return fmt.Errorf("it belongs to user %d; recover as that user", stat.Uid)
	}
	return nil
}

// lock claims the journal for writing. Whoever only looks (see Alive) has it for
// some microseconds, so it is tried a few times.
func lock(file *os.File) error {
	for tries := 10; ; tries-- {
		err := flock(file, unix.LOCK_EX)
		if tries == 0 || !errors.Is(err, ErrLocked) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func flock(file *os.File, how int) error {
	err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}

// Reserve keeps bytes free behind what is written, for the records of mending.
// Samples are dropped rather than eat into it.
func (j *Journal) Reserve(size int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reserve = size
	crash.Point("journal reserve")
	if err := j.allocate(0); err != nil {
		return fmt.Errorf("reserve %d KiB for the journal %s: %w; free some space or choose another state directory", size>>10, j.path, err)
	}
	return nil
}

// allocate makes sure that size bytes and the reserve fit behind offset.
func (j *Journal) allocate(size int64) error {
	const ahead = 64 << 10
	if j.offset+size+j.reserve <= j.allocated {
		return nil
	}
	if err := allocate(j.file, j.offset, size+j.reserve+ahead); err != nil {
		return err
	}
	j.allocated = j.offset + size + j.reserve + ahead
	return nil
}

// Append writes an event and does not wait for the disk. Where space runs out, an
// event that no mending needs (a sample, a count, a judgement) is dropped.
func (j *Journal) Append(event experiments.Event) error {
	_, err := j.write(event)
	return err
}

// Commit writes the events and returns when they are on disk.
func (j *Journal) Commit(list ...experiments.Event) error {
	end, err := j.write(list...)
	if err != nil {
		return err
	}
	return j.flush(end)
}

// Sync waits until everything written is on disk.
func (j *Journal) Sync() error {
	j.mu.Lock()
	end := j.offset
	j.mu.Unlock()
	return j.flush(end)
}

func (j *Journal) write(list ...experiments.Event) (end int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return 0, j.failed
	}
	j.buffer = j.buffer[:0]
	expendable := true
	for _, event := range list {
		payload, err := j.payload(event)
		if err != nil {
			return 0, fmt.Errorf("write to the journal: %w", err)
		}
		j.buffer = appendFrame(j.buffer, payload)
		switch event.Type {
		case experiments.EventSample, experiments.EventCount, experiments.EventJudgement, experiments.EventGuard, experiments.EventNotification:
		default:
			expendable = false
		}
	}
	if expendable && j.reserve > 0 {
		if j.allocate(int64(len(j.buffer))) != nil {
			j.dropped += len(list)
			return j.offset, nil
		}
	}
	crash.Point("journal append")
	if n, err := j.file.WriteAt(j.buffer, j.offset); err != nil {
		// A half-written frame is a torn tail to a reader; write nothing behind it.
		j.failed = fmt.Errorf("write %d bytes (%d done) to the journal %s: %w", len(j.buffer), n, j.path, err)
		return 0, j.failed
	}
	j.offset += int64(len(j.buffer))
	return j.offset, nil
}

// payload is an event as JSON, without secrets. What mending needs is never
// changed: a record with a hole would have it look for something else, and find
// nothing to undo.
func (j *Journal) payload(event experiments.Event) ([]byte, error) {
	clean := func(text string) string { return text }
	if j.redact != nil {
		clean = j.redact
	}
	if event.Hit != nil {
		step := *event.Hit
		step.Seen, step.Error = clean(step.Seen), clean(step.Error)
		event.Hit = &step
		if step.Hit != nil {
			record, err := json.Marshal(step.Hit)
			if err != nil {
				return nil, err
			}
			if clean(string(record)) != string(record) {
				return nil, errors.New("the record that undoes a hit holds the value of a secret; nothing secret is written to disk: take it out of the fault, or change the secret if it is a common word")
			}
		}
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	if event.Hit == nil {
		payload = []byte(clean(string(payload)))
	}
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("an event of %d KiB is too large: a reader takes %d KiB", len(payload)>>10, maxPayload>>10)
	}
	return payload, nil
}

func (j *Journal) flush(end int64) error {
	j.sync.Lock()
	defer j.sync.Unlock()
	if j.synced >= end {
		return nil
	}
	j.mu.Lock()
	upTo, failed := j.offset, j.failed
	j.mu.Unlock()
	if failed != nil {
		return failed
	}
	crash.Point("journal fsync")
	if err := datasync(j.file); err != nil {
		// After a failed fsync the kernel may have dropped the pages; a second one that
		// succeeds proves nothing. The journal is over.
		err = fmt.Errorf("fsync the journal %s: %w", j.path, err)
		j.mu.Lock()
		j.failed = err
		j.mu.Unlock()
		return err
	}
	j.synced = upTo
	return nil
}

// Dropped is the number of samples that were not written for want of space.
func (j *Journal) Dropped() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dropped
}

// Close gives the lock back.
func (j *Journal) Close() error {
	return j.file.Close()
}

func appendFrame(buffer, payload []byte) []byte {
	buffer = append(buffer, marker...)
	buffer = binary.LittleEndian.AppendUint32(buffer, uint32(len(payload)))
	buffer = binary.LittleEndian.AppendUint32(buffer, crc32.Checksum(payload, castagnoli))
	return append(buffer, payload...)
}

// Contents is what a journal holds.
type Contents struct {
	Events []experiments.Event
	// Torn is the number of bytes of an unfinished frame at the end: the writer died
	// in the middle of it.
	Torn int64
	// Damage lists stretches in the middle that cannot be read. Hits may have been done
	// that no event tells of.
	Damage []Damage

	end int64 // where the last whole frame ends
}

// Damage is an unreadable stretch of a journal.
type Damage struct {
	Offset, Length int64
}

func (d Damage) String() string {
	return fmt.Sprintf("%d bytes at offset %d", d.Length, d.Offset)
}

// Read reads the journal in dir without locking it, for looking only.
func Read(dir string) (*Contents, error) {
	file, err := os.Open(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	contents, err := read(file)
	return contents, errors.Join(err, file.Close())
}

// Alive tells whether a process is writing the journal in dir.
func Alive(dir string) (bool, error) {
	file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("look at the journal: %w", err)
	}
	// Shared, so that two who look at once do not take each other for the writer.
	err = flock(file, unix.LOCK_SH)
	if closing := file.Close(); closing != nil {
		return false, closing
	}
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	return false, err
}

func read(file io.ReaderAt) (*Contents, error) {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<40))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	// Reserved space may read as zeros behind the last frame.
	text = bytes.TrimRight(text, "\x00")
	contents := &Contents{}
	if !bytes.HasPrefix(text, []byte(header)) {
		if len(text) < len(header) && bytes.HasPrefix([]byte(header), text) {
			contents.Torn = int64(len(text))
			return contents, nil
		}
		// A damaged header says nothing about the frames behind it.
		contents.Damage = append(contents.Damage, Damage{0, int64(min(len(header), len(text)))})
		if len(text) < len(header) {
			return contents, nil
		}
	}
	at := len(header)
	bad := -1 // where the unreadable stretch began
	contents.end = int64(at)
	for at < len(text) {
		event, size, ok := frame(text[at:])
		if !ok {
			if bad < 0 {
				bad = at
			}
			next := bytes.Index(text[at+1:], []byte(marker))
			if next < 0 {
				break
			}
			at += 1 + next
			continue
		}
		if bad >= 0 {
			contents.Damage = append(contents.Damage, Damage{int64(bad), int64(at - bad)})
			bad = -1
		}
		contents.Events = append(contents.Events, event)
		at += size
		contents.end = int64(at)
	}
	if bad >= 0 {
		torn := len(text)
		if unfinished(text[at:]) {
			torn = at
		}
		if bad < torn {
			// It stays in the file: who mends after us must know of it too.
			contents.Damage = append(contents.Damage, Damage{int64(bad), int64(torn - bad)})
			contents.end = int64(torn)
		}
		contents.Torn = int64(len(text) - torn)
	}
	return contents, nil
}

// unfinished tells whether text is the beginning of a frame whose writer died in
// the middle of it. A whole frame that cannot be read is damage: what it said may
// have been acted upon. If its length is what is damaged, it holds a whole event.
func unfinished(text []byte) bool {
	if len(text) < len(marker) {
		return strings.HasPrefix(marker, string(text))
	}
	if !bytes.HasPrefix(text, []byte(marker)) {
		return false
	}
	if len(text) < frameBytes {
		return true
	}
	length := binary.LittleEndian.Uint32(text[len(marker):])
	return length <= maxPayload && len(text) < frameBytes+int(length) && !json.Valid(text[frameBytes:])
}

func frame(text []byte) (event experiments.Event, size int, ok bool) {
	if len(text) < frameBytes || string(text[:len(marker)]) != marker {
		return event, 0, false
	}
	length := int(binary.LittleEndian.Uint32(text[len(marker):]))
	sum := binary.LittleEndian.Uint32(text[len(marker)+4:])
	if length > maxPayload || len(text) < frameBytes+length {
		return event, 0, false
	}
	payload := text[frameBytes : frameBytes+length]
	if crc32.Checksum(payload, castagnoli) != sum || json.Unmarshal(payload, &event) != nil {
		return event, 0, false
	}
	return event, frameBytes + length, true
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return errors.Join(fmt.Errorf("fsync directory %s: %w", name, err), dir.Close())
	}
	return dir.Close()
}
