package strapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// maxLogo bounds a logo, which travels inside of a record.
const maxLogo = 32 << 20

// settings reads the configuration, with the logos of the admin panel inside, which are files of no row.
func (s *Source) settings(ctx context.Context, visit read.Visit) error {
	return s.reader.Settings(ctx, markerKey, func(settings []read.Setting) error {
		records := make([]transfer.Record, 0, len(settings))
		for _, setting := range settings {
			value := setting.Value
			if setting.Key == projectSettings {
				var err error
				if value, err = s.withLogos(ctx, value); err != nil {
					return fmt.Errorf("read %s: %w", projectSettings, err)
				}
			}
			record, err := setting.Record(value)
			if err != nil {
				return err
			}
			records = append(records, record)
		}
		if len(records) == 0 {
			return nil
		}
		return visit(records)
	})
}

// withLogos puts the logos' files into the project settings.
func (s *Source) withLogos(ctx context.Context, settings json.RawMessage) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(settings, &all); err != nil || all == nil {
		return settings, nil //nolint:nilerr // it is not the object that Strapi writes: who reads it may judge
	}
	for _, name := range []string{"menuLogo", "authLogo"} {
		var logo struct{ Name, Hash, URL, Ext, Provider string }
		if all[name] == nil || json.Unmarshal(all[name], &logo) != nil || logo.URL == "" {
			continue
		}
		body, err := s.logo(ctx, uploads.File{Hash: logo.Hash, Ext: logo.Ext, URL: logo.URL, Provider: logo.Provider})
		if errors.Is(err, fs.ErrNotExist) {
			s.note(transfer.NoteWarning, "The admin panel's %s %q is in the project settings, but its file is not there: it is left out.", name, logo.Name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("file of %s: %w", name, err)
		}
		text := append(bytes.TrimSuffix(bytes.TrimSpace(all[name]), []byte("}")), `,"__transferBuffer":"`...)
		text = base64.StdEncoding.AppendEncode(text, body)
		all[name] = append(text, `"}`...)
	}
	return json.Marshal(all)
}

func (s *Source) logo(ctx context.Context, f uploads.File) ([]byte, error) {
	if f.Provider == "" {
		f.Provider = "local"
	}
	store := s.site.opts.Uploads
	if store == nil {
		return nil, fs.ErrNotExist
	}
	body, _, err := store.Open(ctx, f)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, maxLogo+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	if len(data) > maxLogo {
		return nil, fmt.Errorf("%w: more than %d bytes", transfer.ErrDamaged, maxLogo)
	}
	return data, nil
}
