//go:build !linux

package wire

import (
	"io"
	"net"
)

func sendMore(nc *net.TCPConn, buffers net.Buffers) error {
	_, err := buffers.WriteTo(nc)
	return err
}

// sendFile copies part of a file to the socket.
func sendFile(nc *net.TCPConn, r fileRange) error {
	n, err := io.Copy(nc, io.NewSectionReader(r.file, r.at, r.size))
	if err == nil && n < r.size {
		r.file.SendFailed()
		err = errFile
	}
	return err
}
