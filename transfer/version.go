package transfer

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// compareVersions returns an error unless strategy lets the two Strapi versions meet. A strategy names the part of the version up to
// which both must be the same, as in Strapi's engine; an unknown version meets everything.
func compareVersions(source, destination string, strategy VersionStrategy) error {
	if source == "" || destination == "" || source == destination || strategy == VersionIgnore {
		return nil
	}
	a, errA := semver.NewVersion(source)
	b, errB := semver.NewVersion(destination)
	same := errA == nil && errB == nil && strategy != VersionExact && a.Major() == b.Major()
	switch strategy {
	case VersionPatch:
		same = same && a.Minor() == b.Minor() && a.Patch() == b.Patch()
	case VersionMinor:
		same = same && a.Minor() == b.Minor()
	case VersionMajor, VersionExact, VersionIgnore:
	}
	if same {
		return nil
	}
	return fmt.Errorf("%w: Strapi %s at the source and %s at the destination (version strategy %s); "+
		"bring both to one version, or choose another --version-strategy", ErrIncompatible, source, destination, strategy)
}
