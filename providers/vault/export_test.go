package vault

import "github.com/klauspost/compress/zstd"

// WithFault returns options that tell how far writes come.
func WithFault(o Options, fault func(point string)) Options {
	o.fault = fault
	return o
}

// Pack and Unpack are how segments are stored.
func Pack(lines []byte) ([]byte, error) {
	enc, err := newEncoder()
	if err != nil {
		return nil, err
	}
	return pack(enc, lines), enc.Close()
}

// Unpack reads what Pack made, or what somebody says that it made.
func Unpack(data []byte, length, records int64) ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSegment))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	return unpack(dec, data, length, records)
}

// AssetLine reads a line of the assets stage and writes it again.
func AssetLine(line []byte) ([]byte, error) {
	a, err := parseAsset(line)
	return a.appendTo(nil), err
}

// MayHoldComponents is exported for its test.
func MayHoldComponents(data string) bool { return mayHoldComponents([]byte(data)) }
