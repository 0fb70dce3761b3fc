package wire

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

const (
	// sendFileBytes is what one call sends at most.
	sendFileBytes = 4 << 20
	// buffersMax is the number of buffers that one call takes (IOV_MAX).
	buffersMax = 1024
)

// sendMore sends buffers and tells the kernel that more follows at once, so that it
// does not send a packet of a few bytes and wake the client for it.
func sendMore(nc *net.TCPConn, buffers net.Buffers) error {
	if len(buffers) == 0 {
		return nil
	}
	return onSocket(nc, func(fd int) (done bool, err error) {
		for len(buffers) > 0 {
			n, err := unix.SendmsgBuffers(fd, buffers[:min(len(buffers), buffersMax)], nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false, nil
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil:
				return true, err
			}
			buffers = consume(buffers, n)
		}
		return true, nil
	})
}

// consume takes the first n bytes off buffers.
func consume(buffers net.Buffers, n int) net.Buffers {
	for len(buffers) > 0 && n >= len(buffers[0]) {
		n -= len(buffers[0])
		buffers = buffers[1:]
	}
	if n > 0 {
		buffers[0] = buffers[0][n:]
	}
	return buffers
}

// sendFile sends part of a file from the page cache (sendfile).
func sendFile(nc *net.TCPConn, r fileRange) error {
	file, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = file.Control(func(in uintptr) {
		sendErr = onSocket(nc, func(fd int) (done bool, err error) {
			for r.size > 0 {
				n, err := unix.Sendfile(fd, int(in), &r.at, int(min(r.size, sendFileBytes)))
				switch {
				case errors.Is(err, unix.EAGAIN):
					return false, nil
				case errors.Is(err, unix.EINTR):
					continue
				case errors.Is(err, unix.EIO), err == nil && n == 0:
					r.file.SendFailed()
					return true, errors.Join(errFile, err)
				case err != nil:
					return true, err
				}
				r.size -= int64(n)
			}
			return true, nil
		})
	})
	return errors.Join(err, sendErr)
}

// onSocket calls do whenever the socket takes data, until it is done.
func onSocket(nc *net.TCPConn, do func(fd int) (done bool, err error)) error {
	raw, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	err = raw.Write(func(fd uintptr) (done bool) {
		done, doErr = do(int(fd))
		return done
	})
	return errors.Join(err, doErr)
}
