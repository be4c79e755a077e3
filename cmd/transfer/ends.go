package main

import (
	"context"
	"fmt"

	"github.com/transfer-runner/runner/providers/strapi/project"
	"github.com/transfer-runner/runner/transfer"
)

// ends are the two sides of a transfer.
type ends struct{ from, to end }

// resolve turns flags and environment into the two sides.
func (o *moveOptions) resolve(ctx context.Context, a *app, c *console, d direction) (ends, error) {
	if err := o.complete(a, d); err != nil {
		return ends{}, err
	}
	e := ends{from: end{reads: true}}
	for _, side := range []struct {
		flags     *endFlags
		end       *end
		principal bool
	}{{&o.From, &e.from, d == directionPull}, {&o.To, &e.to, d == directionPush}} {
		parsed, known, err := a.parse(side.flags.Endpoint)
		if err != nil {
			return ends{}, fmt.Errorf("--%s: %w", side.flags.name, err)
		}
		for _, note := range parsed.Notes {
			c.say("note: --%s: %s", side.flags.name, note)
		}
		side.end.Endpoint, side.end.remote = parsed, known
		if known.ReadOnly && !side.end.reads {
			return ends{}, fmt.Errorf("%w: remote %s is read-only: \"transfer remote add --replace\" without --read-only changes that", transfer.ErrUsage, parsed.Name)
		}
		o.prefer(known)
	}
	if e.from.Kind == e.to.Kind && e.from.Location == e.to.Location {
		return ends{}, fmt.Errorf("%w: --from and --to are the same: %s", transfer.ErrUsage, e.to)
	}
	for _, side := range []struct {
		flags *endFlags
		end   *end
		other *end
		mine  direction
	}{{&o.From, &e.from, &e.to, directionPull}, {&o.To, &e.to, &e.from, directionPush}} {
		access, err := o.accessOf(a, side.end, side.flags.Header)
		if err != nil {
			return ends{}, err
		}
		// With one server there is no doubt whom Strapi's own variable is for.
		principal := d == side.mine || !side.other.Remote()
		if access.Token, err = a.token(ctx, side.flags, side.end, principal); err != nil {
			return ends{}, err
		}
		side.end.access = access
	}
	if (o.Key != "" || o.KeyFile != "" || len(o.Recipients) > 0) && !e.from.Encrypted() && !e.to.Encrypted() && o.Backup == "" {
		return ends{}, fmt.Errorf("%w: a key is given and nothing is encrypted: an encrypted archive ends in .enc or .age", transfer.ErrUsage)
	}
	if err := o.applySites([]*end{&e.from, &e.to}, []siteFlags{o.From.site, o.To.site}); err != nil {
		return ends{}, err
	}
	if err := o.applyMerge(&e.to); err != nil {
		return ends{}, err
	}
	if e.to.access.Merge && o.Verify {
		return ends{}, fmt.Errorf("%w: --verify compares the destination with all that was sent, and with --strategy merge it also keeps what was "+
			"there; compare the two with \"transfer diff --content\"", transfer.ErrUsage)
	}
	return e, o.apply(ctx, a, &e.from, &e.to)
}

// complete sets the endpoints that have a default.
func (o *moveOptions) complete(a *app, d direction) error {
	server := a.getenv("STRAPI_TRANSFER_URL")
	switch d {
	case directionPush:
		if o.To.Endpoint == "" {
			o.To.Endpoint = server
		}
		if o.To.Endpoint == "" {
			return fmt.Errorf("%w: where to? give --to https://host/admin", transfer.ErrUsage)
		}
		if o.From.Endpoint == "" {
			if !project.Is(".") {
				return fmt.Errorf("%w: from where? the current folder is not a Strapi project; give --from ./project, --from backup.tar.gz or "+
					"another endpoint", transfer.ErrUsage)
			}
			o.From.Endpoint = "strapi:."
		}
	case directionPull:
		if o.From.Endpoint == "" {
			o.From.Endpoint = server
		}
		if o.From.Endpoint == "" {
			return fmt.Errorf("%w: from where? give --from https://host/admin", transfer.ErrUsage)
		}
		if o.To.Endpoint == "" {
			from, _, err := a.parse(o.From.Endpoint)
			if err != nil {
				return fmt.Errorf("--from: %w", err)
			}
			o.To.Endpoint = "./" + from.Label() + "-" + a.now().Format("20060102150405") + ".tar.gz"
		}
	}
	return nil
}
