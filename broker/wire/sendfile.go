package wire

import (
	"errors"
	"io"
	"syscall"
)

// File is an open file of the operating system.
type File interface {
	io.ReaderAt
	syscall.Conn
	// SendFailed is called when the file did not give what was announced of it.
	SendFailed()
}

// fileRange is part of a file.
type fileRange struct {
	file     File
	at, size int64
}

// errFile says that a file did not give the bytes that a response had announced: it
// was cut meanwhile, or cannot be read. The response cannot be completed any more.
var errFile = errors.New("a file cannot be sent as announced")
