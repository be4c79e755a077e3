package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
)

// AssetAction is what an item of the assets stage is.
type AssetAction string

// The actions.
const (
	AssetStarts  AssetAction = "start"
	AssetStreams AssetAction = "stream"
	AssetEnds    AssetAction = "end"
	AssetKeeps   AssetAction = "keep" // a file that the destination has, instead of the other three; see [ExtensionKnownAssets]
)

// ChecksumSHA256 is the only algorithm of a [Checksum].
const ChecksumSHA256 = "sha256"

// AssetStart announces a file.
type AssetStart struct {
	ID       string // of the items of this file, unique in the stage
	Filename string
	Filepath string // where the source keeps it; informative
	Size     int64  // bytes; informative, -1 when unknown
	Metadata json.RawMessage
}

// Checksum proves a file's bytes.
type Checksum struct {
	Algorithm string
	Value     string // lower-case hex
}

// AssetItem is an item of the assets stage. Start is set when the action is [AssetStarts] or [AssetKeeps]; [AssetItem.DecodeChunk] is for
// [AssetStreams]; Checksum may be set when it is [AssetEnds].
type AssetItem struct {
	Action   AssetAction
	AssetID  string
	Start    *AssetStart
	Checksum *Checksum

	chunk   json.RawMessage
	payload []byte // the bytes themselves, of a binary message
}

// Errors of asset items, in Strapi's words where it has some.
var (
	ErrInvalidChunk = errors.New("Invalid transfer asset stream chunk payload") //nolint:staticcheck // as Strapi spells it
	ErrInvalidAsset = fmt.Errorf("%w: not an asset item", ErrMalformed)
)

// ParseAssetItem reads one item of the assets stage. A chunk is not decoded, only checked to be JSON; it and the metadata are
// parts of raw.
func ParseAssetItem(raw json.RawMessage) (AssetItem, error) {
	s, err := newScanner(raw, MaxMessage)
	if err != nil {
		return AssetItem{}, err
	}
	item, err := s.assetItem()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return AssetItem{}, err
	}
	return item, nil
}

// AssetItems yields the items of the assets stage that data holds: a list of items, as clients send it, or of lists of items, as
// servers do. payload is what came with them in a binary message, all of which must be theirs. The sequence ends after an error, which
// wraps [ErrMalformed] or [ErrInvalidChunk].
func AssetItems(data json.RawMessage, payload []byte) iter.Seq2[AssetItem, error] {
	return func(yield func(AssetItem, error) bool) {
		s, err := newScanner(data, MaxMessage)
		s.payload = payload
		if err == nil && s.pos < len(s.text) {
			err = s.assetItems(yield)
		}
		if err == nil {
			err = s.end()
		}
		if err == nil && len(s.payload) > 0 {
			err = fmt.Errorf("%w: %d bytes belong to no item", ErrInvalidBinary, len(s.payload))
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(AssetItem{}, err)
		}
	}
}

func (s *scanner) assetItems(yield func(AssetItem, error) bool) error {
	one := func() error {
		item, err := s.assetItem()
		if err == nil && !yield(item, nil) {
			err = errStopped
		}
		return err
	}
	switch s.peek() {
	case '[':
		return s.array(func() error {
			if s.peek() == '[' {
				return s.array(one)
			}
			return one()
		})
	case 'n':
		return s.skipLiteral("null")
	default:
		return one()
	}
}

// assetItem reads one item at the scanner's position.
func (s *scanner) assetItem() (item AssetItem, err error) {
	if s.peek() != '{' {
		if err := s.skipValue(); err != nil {
			return item, err
		}
		return item, ErrInvalidAsset
	}
	var seen members
	var data, checksum, encoding json.RawMessage
	err = s.object(func(name []byte) error {
		switch string(name) {
		case "action":
			if err := seen.mark(memberType, "action"); err != nil {
				return err
			}
			action, err := s.id("action")
			item.Action = AssetAction(action)
			return err
		case "assetID":
			if err := seen.mark(memberID, "assetID"); err != nil {
				return err
			}
			item.AssetID, err = s.id("assetID")
			return err
		case "data":
			if err := seen.mark(memberData, "data"); err != nil {
				return err
			}
			return s.into(&data)
		case "checksum":
			if err := seen.mark(memberError, "checksum"); err != nil {
				return err
			}
			return s.into(&checksum)
		case "encoding":
			return s.into(&encoding)
		default:
			return s.skipValue()
		}
	})
	if err != nil {
		return item, err
	}
	if item.Action == AssetStreams && string(encoding) == encodingBinary {
		return item, s.cutPayload(&item, data)
	}
	return item, complete(&item, data, checksum)
}

func complete(a *AssetItem, data, checksum json.RawMessage) error {
	if a.AssetID == "" {
		return fmt.Errorf("%w: it has no assetID", ErrInvalidAsset)
	}
	switch a.Action {
	case AssetStarts, AssetKeeps:
		return readStart(a, data)
	case AssetStreams:
		a.chunk = data
	case AssetEnds:
		return readChecksum(a, checksum)
	default:
		return fmt.Errorf("%w: Invalid asset flow action: %s", ErrInvalidAsset, clip(string(a.Action), maxErrorText))
	}
	return nil
}

func readStart(a *AssetItem, data json.RawMessage) error {
	a.Start = &AssetStart{ID: a.AssetID, Size: -1}
	s := scanner{text: data}
	if s.peek() != '{' {
		return fmt.Errorf("%w: asset %s starts without data", ErrInvalidAsset, a.AssetID)
	}
	return s.object(func(name []byte) error {
		value, err := s.value()
		if err != nil {
			return err
		}
		switch string(name) {
		case "filename", "filepath":
			if len(value) > maxPath {
				return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, name, len(value), maxPath)
			}
			text, _ := asString(value)
			if string(name) == "filename" {
				a.Start.Filename = text
			} else {
				a.Start.Filepath = text
			}
		case "stats":
			a.Start.Size = sizeOf(value)
		case "metadata":
			a.Start.Metadata = value
		}
		return nil
	})
}

// maxPath is the longest file name or path that is taken, in bytes of JSON text.
const maxPath = 64 << 10

// sizeOf reads the size out of an item's stats, -1 when there is none.
func sizeOf(stats json.RawMessage) int64 {
	size := int64(-1)
	s := scanner{text: stats}
	if s.peek() != '{' {
		return size
	}
	err := s.object(func(name []byte) error {
		value, err := s.value()
		if n, ok := asInt(value); ok && n >= 0 && string(name) == "size" {
			size = n
		}
		return err
	})
	if err != nil {
		return -1
	}
	return size
}

func readChecksum(a *AssetItem, raw json.RawMessage) error {
	if !Truthy(raw) {
		return nil
	}
	s := scanner{text: raw}
	if s.peek() != '{' {
		return fmt.Errorf("%w: the checksum of asset %s is no object", ErrInvalidAsset, a.AssetID)
	}
	a.Checksum = &Checksum{}
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "algorithm":
			a.Checksum.Algorithm, err = s.id("algorithm of a checksum")
		case "value":
			a.Checksum.Value, err = s.id("checksum")
		default:
			err = s.skipValue()
		}
		return err
	})
}

// AppendAssetStart appends the item that announces a file. Metadata is copied as it is and must be valid JSON.
func AppendAssetStart(dst []byte, a AssetStart) []byte {
	return appendAsset(append(dst, `{"action":"start","assetID":`...), a)
}

// AppendAssetKeep appends the item that stands for a file which the destination has. Metadata is copied as it is and must be valid JSON.
func AppendAssetKeep(dst []byte, a AssetStart) []byte {
	return appendAsset(append(dst, `{"action":"keep","assetID":`...), a)
}

func appendAsset(dst []byte, a AssetStart) []byte {
	dst = appendQuoted(dst, a.ID)
	dst = append(dst, `,"data":{"filename":`...)
	dst = appendQuoted(dst, a.Filename)
	dst = append(dst, `,"filepath":`...)
	dst = appendQuoted(dst, a.Filepath)
	dst = append(dst, `,"stats":{"size":`...)
	dst = strconv.AppendInt(dst, max(a.Size, 0), 10)
	dst = append(dst, `},"metadata":`...)
	dst = appendRaw(dst, a.Metadata, "{}")
	return append(dst, "}}"...)
}

// AppendAssetEnd appends the item that ends a file. sum is the SHA-256 of its bytes in lower-case hex; "" leaves it out, for
// transfers without checksums.
func AppendAssetEnd(dst []byte, id, sum string) []byte {
	dst = append(dst, `{"action":"end","assetID":`...)
	dst = appendQuoted(dst, id)
	if sum != "" {
		dst = append(dst, `,"checksum":{"algorithm":"sha256","value":`...)
		dst = append(appendQuoted(dst, sum), '}')
	}
	return append(dst, '}')
}
