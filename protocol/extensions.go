package protocol

import "encoding/json"

// Extension is the name of something that is spoken only between peers that both know it. A client offers extensions in the
// params of init; a server answers with those that it accepts. Strapi ignores the offer.
type Extension string

// The extensions.
const (
	ExtensionWindow       Extension = "window"
	ExtensionBinaryAssets Extension = "binaryAssets"
	ExtensionCompression  Extension = "compression"
	ExtensionResume       Extension = "resume"
	ExtensionKnownAssets  Extension = "knownAssets"
	ExtensionSchemas      Extension = "schemas"
	ExtensionMerge        Extension = "merge"
	ExtensionSeals        Extension = "seals"
	ExtensionSkips        Extension = "skips"
)

// CompressionZstd is the only value of [Extensions.Compression] but "".
const CompressionZstd = "zstd"

// MaxWindow is the largest window that may be agreed on. It bounds what a server must remember to answer a repeated message, and
// how many messages a client must be ready to send again.
const MaxWindow = 64

// Extensions is what a client offers, a server supports, or both have agreed on. The zero value is the stock protocol.
type Extensions struct {
	// Window is how many stream messages may be unanswered at a time; 0 and 1 mean one.
	Window int `json:"window,omitempty"`
	// BinaryAssets moves the bytes of assets in binary messages.
	BinaryAssets bool `json:"binaryAssets,omitempty"`
	// Compression names the method by which the data of stream messages is compressed.
	Compression string `json:"compression,omitempty"`
	// Resume lets a session outlive its connection.
	Resume bool `json:"resume,omitempty"`
	// KnownAssets lets a destination say which assets it has.
	KnownAssets bool `json:"knownAssets,omitempty"`
	// Schemas adds the schemas stage.
	Schemas bool `json:"schemas,omitempty"`
	// Merge adds a strategy that updates what is there instead of deleting it.
	Merge bool `json:"merge,omitempty"`
	// Seals makes every message carry a checksum of itself; see [AppendSealed].
	Seals bool `json:"seals,omitempty"`
	// Skips makes the answer to the end of a stage say what was left out of it; see [EndResult].
	Skips bool `json:"skips,omitempty"`
}

// Negotiate returns what both sides can do: the answer to offered by a server that supports supported.
func Negotiate(offered, supported Extensions) Extensions {
	agreed := Extensions{
		Window:       min(offered.Window, supported.Window, MaxWindow),
		BinaryAssets: offered.BinaryAssets && supported.BinaryAssets,
		Resume:       offered.Resume && supported.Resume,
		KnownAssets:  offered.KnownAssets && supported.KnownAssets,
		Schemas:      offered.Schemas && supported.Schemas,
		Merge:        offered.Merge && supported.Merge,
		Seals:        offered.Seals && supported.Seals,
		Skips:        offered.Skips && supported.Skips,
	}
	if agreed.Window < 2 {
		agreed.Window = 0
	}
	if offered.Compression == supported.Compression {
		agreed.Compression = offered.Compression
	}
	return agreed
}

// Has reports whether the extension called name is among e.
func (e Extensions) Has(name Extension) bool {
	switch name {
	case ExtensionWindow:
		return e.Window > 1
	case ExtensionBinaryAssets:
		return e.BinaryAssets
	case ExtensionCompression:
		return e.Compression != ""
	case ExtensionResume:
		return e.Resume
	case ExtensionKnownAssets:
		return e.KnownAssets
	case ExtensionSchemas:
		return e.Schemas
	case ExtensionMerge:
		return e.Merge
	case ExtensionSeals:
		return e.Seals
	case ExtensionSkips:
		return e.Skips
	default:
		return false
	}
}

// ParseExtensions reads an offer or an answer. Unknown extensions, and values that are not understood, count as absent: peers
// then speak the stock protocol.
func ParseExtensions(raw json.RawMessage) (e Extensions) {
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch Extension(name) {
		case ExtensionWindow:
			if n, ok := asInt(value); ok && n > 1 {
				e.Window = int(min(n, MaxWindow))
			}
		case ExtensionBinaryAssets:
			e.BinaryAssets = asBool(value)
		case ExtensionCompression:
			if method, _ := asString(value); method == CompressionZstd {
				e.Compression = method
			}
		case ExtensionResume:
			e.Resume = asBool(value)
		case ExtensionKnownAssets:
			e.KnownAssets = asBool(value)
		case ExtensionSchemas:
			e.Schemas = asBool(value)
		case ExtensionMerge:
			e.Merge = asBool(value)
		case ExtensionSeals:
			e.Seals = asBool(value)
		case ExtensionSkips:
			e.Skips = asBool(value)
		}
		return nil
	})
	if err != nil {
		return Extensions{}
	}
	return e
}
