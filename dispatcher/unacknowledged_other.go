//go:build !linux

package dispatcher

import "syscall"

// unacknowledged is not known here: what the system has taken counts as sent.
func unacknowledged(syscall.Conn) int { return 0 }

// sendBuffer bounds what the system takes and has not sent, because all of that counts as sent: on a slow line, a large buffer
// would hide for minutes that something moves.
const sendBuffer = 256 << 10
