//go:build unix

package live

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errDeadline marks a write that took too long.
var errDeadline = os.ErrDeadlineExceeded

// writeNow writes what the connection takes without waiting, and returns how much that was. Of a connection that is not just a
// socket, such as one with TLS, that is nothing: it cannot stop half-way.
func writeNow(conn net.Conn, text []byte) (int, error) {
	socket, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	n, failure := 0, error(nil)
	err = raw.Write(func(fd uintptr) bool {
		n, failure = unix.Write(int(fd), text)
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(failure, syscall.EAGAIN), errors.Is(failure, syscall.EINTR):
		return 0, nil
	case failure != nil:
		return 0, failure
	}
	return n, nil
}
