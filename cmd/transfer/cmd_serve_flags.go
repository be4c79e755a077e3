package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	dataFlags
	keyFlags
	siteFlags
	outputOptions
	jobFlags

	Config       string
	Listen       string
	TLSCert      string
	TLSKey       string
	InsecureHTTP bool
	Metrics      bool     // anybody who reaches the server may read /metrics
	Sites        []string // NAME=ENDPOINT, or ENDPOINT for the default site
	Origins      []string

	limits runnerserver.Config
}

func (o *serveOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Config, "config", "", "configuration file (TRANSFER_SERVE_CONFIG)")
	f.StringVar(&o.Listen, "listen", defaultListen, "address to listen on (TRANSFER_LISTEN)")
	f.StringVar(&o.Data, "data", "", dataUsage)
	f.StringVar(&o.TLSCert, "tls-cert", "", "certificate, PEM (TRANSFER_TLS_CERT)")
	f.StringVar(&o.TLSKey, "tls-key", "", "key of the certificate, PEM (TRANSFER_TLS_KEY)")
	f.BoolVar(&o.InsecureHTTP, "insecure-http", false, "listen beyond this machine without TLS")
	f.BoolVar(&o.Metrics, "metrics-public", false, "answer /metrics without a token, also beyond this machine")
	f.StringArrayVar(&o.Sites, "site", nil, "ENDPOINT to serve at /admin instead of the vault, or NAME=ENDPOINT to serve at /NAME/admin (repeatable)")
	o.siteFlags.addFlags(f, "", "schemas", "site-database")
	f.StringArrayVar(&o.Origins, "origin", nil, "page that may connect, such as https://cms.example.org (repeatable)")
	f.IntVar(&o.limits.MaxSessions, "max-sessions", runnerserver.DefaultMaxSessions, "connections at a time")
	f.Int64Var(&o.limits.MessageLimit, "message-limit", runnerserver.DefaultMessageLimit, "longest message, in bytes")
	f.Int64Var(&o.limits.AssetLimit, "asset-limit", runnerserver.DefaultAssetLimit, "longest file, in bytes")
	f.IntVar(&o.limits.Window, "window", runnerserver.DefaultWindow, "messages under way that our own clients get; 1 is none")
	f.DurationVar(&o.limits.HeartbeatInterval, "heartbeat-interval", runnerserver.DefaultHeartbeatInterval, "time between pings")
	f.DurationVar(&o.limits.HeartbeatTimeout, "heartbeat-timeout", runnerserver.DefaultHeartbeatTimeout, "silence after which a client counts as gone")
	f.DurationVar(&o.limits.IdleTimeout, "idle-timeout", runnerserver.DefaultIdleTimeout, "time without a message after which a connection is closed")
	f.DurationVar(&o.limits.Grace, "grace", runnerserver.DefaultGrace, "how long a shutdown lets transfers run on")
	o.keyFlags.addFlags(f)
	o.jobFlags.addFlags(f)
	for _, name := range []string{"recipient"} {
		if flag := f.Lookup(name); flag != nil {
			flag.Hidden = true
		}
	}
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "say nothing but errors and the first token")
	f.BoolVar(&o.Verbose, "verbose", false, "log every detail")
}

// LogLevel is what a server logs: what happens, unless told otherwise.
func (o *serveOptions) LogLevel() slog.Level {
	switch {
	case o.Quiet:
		return slog.LevelError
	case o.Verbose:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// config are the server's limits. The rest is filled in where it is opened.
func (o *serveOptions) limitsConfig() runnerserver.Config {
	c := o.limits
	c.Origins = o.Origins
	c.PrivateMetrics = !o.Metrics && !o.local()
	return c
}

// serveFile is the configuration file of serve.
type serveFile struct {
	Listen            string            `json:"listen"`
	Data              string            `json:"data"`
	TLSCert           string            `json:"tlsCert"`
	TLSKey            string            `json:"tlsKey"`
	InsecureHTTP      bool              `json:"insecureHTTP"`
	MetricsPublic     bool              `json:"metricsPublic"`
	Sites             map[string]string `json:"sites"`
	Origins           []string          `json:"origins"`
	MaxSessions       int               `json:"maxSessions"`
	MessageLimit      int64             `json:"messageLimit"`
	AssetLimit        int64             `json:"assetLimit"`
	Window            int               `json:"window"`
	HeartbeatInterval duration          `json:"heartbeatInterval"`
	HeartbeatTimeout  duration          `json:"heartbeatTimeout"`
	IdleTimeout       duration          `json:"idleTimeout"`
	Grace             duration          `json:"grace"`
	Database          string            `json:"database"`
	Blobs             string            `json:"blobs"`
	Redis             string            `json:"redis"`
	PublicURL         string            `json:"publicURL"`
	Workers           int               `json:"workers"`
	History           duration          `json:"history"`
	Remotes           map[string]remote `json:"remotes"`
	Schedules         []jobs.Schedule   `json:"schedules"`
}

// duration is a time span written as in "30s".
type duration time.Duration

// UnmarshalText reads a duration.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

// load fills in from the environment and the configuration file what no flag says.
func (o *serveOptions) load(a *app, flags *pflag.FlagSet) error {
	var file serveFile
	path := o.Config
	if path == "" {
		path = a.getenv("TRANSFER_SERVE_CONFIG")
	}
	if path != "" {
		text, err := readLimited(path, maxConfig)
		if err != nil {
			return fmt.Errorf("%w: read the configuration: %w", transfer.ErrUsage, err)
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&file); err != nil {
			return fmt.Errorf("%w: read the configuration %s: %w", transfer.ErrUsage, path, err)
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: read the configuration %s: text after the object", transfer.ErrUsage, path)
		}
	}
	for _, s := range []struct {
		flag, env string
		to        *string
		file      string
	}{
		{"listen", "TRANSFER_LISTEN", &o.Listen, file.Listen},
		{"data", "TRANSFER_DATA", &o.Data, file.Data},
		{"tls-cert", "TRANSFER_TLS_CERT", &o.TLSCert, file.TLSCert},
		{"tls-key", "TRANSFER_TLS_KEY", &o.TLSKey, file.TLSKey},
		{"database", databaseVariable, &o.jobFlags.Database, file.Database},
		{"blobs", blobsVariable, &o.Blobs, file.Blobs},
		{"redis", "TRANSFER_REDIS", &o.Redis, file.Redis},
		{"public-url", "TRANSFER_PUBLIC_URL", &o.PublicURL, file.PublicURL},
	} {
		if flags.Changed(s.flag) {
			continue
		}
		if text := a.getenv(s.env); text != "" {
			*s.to = text
		} else if s.file != "" {
			*s.to = s.file
		}
	}
	o.loadRest(file, flags)
	return o.checkLimits()
}

// checkLimits refuses limits that limit nothing; 0 stands for the default.
func (o *serveOptions) checkLimits() error {
	l := o.limits
	for name, negative := range map[string]bool{
		"max-sessions": l.MaxSessions < 0, "message-limit": l.MessageLimit < 0, "asset-limit": l.AssetLimit < 0, "window": l.Window < 0,
		"heartbeat-interval": l.HeartbeatInterval < 0, "heartbeat-timeout": l.HeartbeatTimeout < 0, "idle-timeout": l.IdleTimeout < 0, "grace": l.Grace < 0,
	} {
		if negative {
			return fmt.Errorf("%w: --%s must not be negative", transfer.ErrUsage, name)
		}
	}
	return nil
}

// loadRest fills in what has no place in the environment.
func (o *serveOptions) loadRest(file serveFile, flags *pflag.FlagSet) {
	if !flags.Changed("site") {
		for _, name := range sortedNames(file.Sites) {
			o.Sites = append(o.Sites, name+"="+file.Sites[name])
		}
	}
	if !flags.Changed("origin") {
		o.Origins = file.Origins
	}
	if !flags.Changed("insecure-http") {
		o.InsecureHTTP = file.InsecureHTTP
	}
	if !flags.Changed("metrics-public") {
		o.Metrics = file.MetricsPublic
	}
	l := &o.limits
	fill(flags, "max-sessions", &l.MaxSessions, file.MaxSessions)
	fill(flags, "message-limit", &l.MessageLimit, file.MessageLimit)
	fill(flags, "asset-limit", &l.AssetLimit, file.AssetLimit)
	fill(flags, "window", &l.Window, file.Window)
	fill(flags, "heartbeat-interval", &l.HeartbeatInterval, time.Duration(file.HeartbeatInterval))
	fill(flags, "heartbeat-timeout", &l.HeartbeatTimeout, time.Duration(file.HeartbeatTimeout))
	fill(flags, "idle-timeout", &l.IdleTimeout, time.Duration(file.IdleTimeout))
	fill(flags, "grace", &l.Grace, time.Duration(file.Grace))
	fill(flags, "workers", &o.Workers, file.Workers)
	fill(flags, "history", &o.History, span(file.History))
	o.remotes, o.schedules = file.Remotes, file.Schedules
}

// fill sets what the file says and no flag does.
func fill[T comparable](flags *pflag.FlagSet, name string, to *T, value T) {
	var zero T
	if !flags.Changed(name) && value != zero {
		*to = value
	}
}

// sortedNames are the keys of a map of sites.
func sortedNames[T any](m map[string]T) []string {
	return slices.Sorted(maps.Keys(m))
}
