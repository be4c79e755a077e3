package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
)

// ErrChanged marks a message that is not what its sender wrote.
var ErrChanged = fmt.Errorf("%w: it was changed on its way", ErrMalformed)

// A seal is the last member of a message: the CRC-32C of all that comes before it. Strapi's peers overlook it, as they do with any
// member that they do not know.
const (
	sealStart  = `,"crc":"`
	sealEnd    = `"}`
	sealDigits = 8
	// SealBytes is by how much a seal makes a message longer.
	SealBytes = len(sealStart) + sealDigits + len(sealEnd) - 1
)

// AppendSealed appends a message, the text of a JSON object with at least one member, and its seal to dst.
func AppendSealed(dst, message []byte) []byte {
	if IsBinary(message) {
		return append(dst, message...) // it has one
	}
	body := message[:len(message)-1]
	dst = append(dst, body...)
	dst = append(dst, sealStart...)
	return append(appendSum(dst, body), sealEnd...)
}

// CheckSeal reports whether a message has a seal. It returns [ErrChanged] if that is not the message's.
func CheckSeal(message []byte) (sealed bool, err error) {
	if IsBinary(message) {
		return true, checkBinary(message)
	}
	at := len(message) - len(sealStart) - sealDigits - len(sealEnd)
	if at < 1 || string(message[at:at+len(sealStart)]) != sealStart || string(message[len(message)-len(sealEnd):]) != sealEnd {
		return false, nil
	}
	sum := message[at+len(sealStart):][:sealDigits]
	if string(appendSum(make([]byte, 0, sealDigits), message[:at])) != string(sum) {
		return true, ErrChanged
	}
	return true, nil
}

func appendSum(dst, text []byte) []byte {
	sum := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)) // the library makes this table once
	return hex.AppendEncode(dst, binary.BigEndian.AppendUint32(make([]byte, 0, sealDigits/2), sum))
}
