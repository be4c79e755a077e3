package dispatcher

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many bytes the system still holds of what was written to a TCP connection: not sent, or not
// acknowledged by the peer's host.
func unacknowledged(conn syscall.Conn) (n int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	if err := raw.Control(func(fd uintptr) {
		if held, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = held
		}
	}); err != nil {
		return 0
	}
	return n
}

// sendBuffer leaves the size of the system's buffer to the system, which lets it grow with the line.
const sendBuffer = 0
