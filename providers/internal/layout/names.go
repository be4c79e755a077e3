package layout

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/transfer-runner/runner/transfer"
)

// The files at the root of an export.
const (
	MetadataFile = "metadata.json"
	ManifestFile = "transfer-manifest.jsonl"
)

// The folders of the assets stage. The other stages have one folder each, called like the stage.
const (
	UploadsDir  = "assets/uploads"
	SidecarsDir = "assets/metadata"
)

const (
	sidecarExt = ".json"
	partExt    = ".jsonl"

	// MaxName is the longest path of a file in an export, in bytes. Strapi's longest are a folder, a file name of at most 255
	// bytes and an extension.
	MaxName = 1024

	// MaxFiles is how many files an export may hold. What must be remembered of each is some 50 bytes, so that this is also
	// the bound of the memory that a hostile export can take.
	MaxFiles = 1_000_000
)

// Kind tells the files of an export apart.
type Kind int

// The kinds. KindOther is a file that has no meaning and is left alone.
const (
	KindOther Kind = iota
	KindPart
	KindSidecar
	KindUpload
	KindManifest
	KindMetadata
)

// Place is what a file's path says of it.
type Place struct {
	Kind  Kind
	Stage transfer.Stage // of parts, sidecars and uploads
	Asset string         // the file name that a sidecar or an upload is for
}

// Locate tells what the file at a cleaned path is. It keeps to Strapi's rule: the folder counts, and in the folder of a stage
// every file is a part, whatever its name.
func Locate(name string) Place {
	switch name {
	case MetadataFile:
		return Place{Kind: KindMetadata}
	case ManifestFile:
		return Place{Kind: KindManifest}
	}
	dir, base := path.Split(name)
	switch dir = strings.TrimSuffix(dir, "/"); dir {
	case UploadsDir:
		return Place{Kind: KindUpload, Stage: transfer.StageAssets, Asset: base}
	case SidecarsDir:
		if asset, ok := strings.CutSuffix(base, sidecarExt); ok {
			return Place{Kind: KindSidecar, Stage: transfer.StageAssets, Asset: asset}
		}
	}
	if stage, err := transfer.ParseStage(dir); err == nil && stage != transfer.StageAssets {
		return Place{Kind: KindPart, Stage: stage}
	}
	return Place{}
}

// PartName returns the path of the nth part of a stage, counted from 1.
func PartName(stage transfer.Stage, n int) string {
	return fmt.Sprintf("%s/%s_%05d%s", stage, stage, n, partExt)
}

// IsPart reports whether a file of a stage's folder is a part by the rule for unpacked exports, where the extension counts.
func IsPart(base string) bool { return strings.HasSuffix(base, partExt) }

// UploadName returns the path of an uploaded file.
func UploadName(asset string) string { return UploadsDir + "/" + asset }

// SidecarName returns the path of the row of an uploaded file.
func SidecarName(asset string) string { return SidecarsDir + "/" + asset + sidecarExt }

// ErrName marks a path that does not stay inside the export.
var ErrName = errors.New("unsafe file name")

// Clean returns the path of an entry as the rest of the package knows it, or an error that wraps [transfer.ErrDamaged] if it
// could lead outside the export. A path with backslashes and without slashes is taken for one that Strapi wrote on Windows.
func Clean(name string) (string, error) {
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("%w: %w %q: %s", transfer.ErrDamaged, ErrName, shorten(name), why)
	}
	switch {
	case name == "":
		return refuse("it is empty")
	case len(name) > MaxName:
		return refuse(fmt.Sprintf("%d bytes, at most %d", len(name), MaxName))
	case !utf8.ValidString(name):
		return refuse("it is not UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refuse("it holds control characters")
	}
	slashed := name
	if strings.Contains(name, `\`) {
		if strings.Contains(name, "/") {
			return refuse("it mixes slashes and backslashes")
		}
		slashed = strings.ReplaceAll(name, `\`, "/")
	}
	switch {
	case strings.HasPrefix(slashed, "/"):
		return refuse("it is absolute")
	case len(slashed) > 1 && slashed[1] == ':':
		return refuse("it names a drive")
	}
	for element := range strings.SplitSeq(slashed, "/") {
		if element == ".." {
			return refuse("it leads out of the export")
		}
	}
	return path.Clean(slashed), nil
}

// shorten keeps hostile names from filling messages.
func shorten(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
