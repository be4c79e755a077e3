package transfer

import (
	"fmt"
	"slices"
	"strings"
)

// Stage is one of the five parts that a transfer consists of. Stages always come in the order of [Stages].
type Stage string

// The stages, with the names that Strapi gives them.
const (
	StageSchemas       Stage = "schemas"
	StageEntities      Stage = "entities"
	StageAssets        Stage = "assets"
	StageLinks         Stage = "links"
	StageConfiguration Stage = "configuration"
)

// Stages returns all stages in transfer order.
func Stages() []Stage {
	return []Stage{StageSchemas, StageEntities, StageAssets, StageLinks, StageConfiguration}
}

// ParseStage returns the stage called name.
func ParseStage(name string) (Stage, error) {
	if s := Stage(name); slices.Contains(Stages(), s) {
		return s, nil
	}
	return "", fmt.Errorf("unknown stage %q: one of %s", name, joinStages(Stages()))
}

func joinStages(stages []Stage) string {
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
