package project

import (
	"encoding/json"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

// Project is what was found.
type Project struct {
	Dir      string
	Name     string // of package.json
	Version  string // of Strapi, "" when it could not be found
	Database database.Config
	Zone     *time.Location // of the Strapi process; nil is this machine's

	AdminPath  string // "/admin" by default
	Public     string // the folder that holds uploads
	Upload     Upload
	TokenSalt  string // of transfer tokens; "" when the project has none
	RemoteOff  bool   // the project turns remote transfers off
	Components map[string]json.RawMessage

	Notes []transfer.Note
}

// Upload is how a project keeps its files.
type Upload struct {
	Provider string // "local" or the name in config/plugins, such as "aws-s3"
	Options  json.RawMessage
}
