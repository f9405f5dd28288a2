package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate makes sure that size bytes behind offset can be written, without
// changing the file's length. File systems that cannot promise it are borne.
func allocate(file *os.File, offset, size int64) error {
	err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, offset, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// datasync waits until the file's data, and its length, are on disk.
func datasync(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }
