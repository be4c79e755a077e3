package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// minRedacted is the shortest secret that is looked for in output. Shorter ones occur in ordinary text, where stars would tell more
// than they hide.
const minRedacted = 6

// redactor replaces known secrets in everything that is written. No text should hold one; peers, however, may say what they like.
type redactor struct {
	mu      sync.Mutex // guards secrets
	secrets []string
}

func (r *redactor) add(secret string) {
	if len(secret) < minRedacted {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.secrets, secret) {
		r.secrets = append(r.secrets, secret)
	}
}

func (r *redactor) clean(text []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.secrets {
		text = bytes.ReplaceAll(text, []byte(s), []byte("***"))
	}
	return text
}

func (r *redactor) wrap(w io.Writer) io.Writer { return redacted{r, w} }

type redacted struct {
	*redactor
	w io.Writer
}

func (r redacted) Write(p []byte) (int, error) {
	if _, err := r.w.Write(r.clean(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// maxSecret bounds what is read from a file or a stream for a token or a key.
const maxSecret = 64 << 10

// secretSource says where a secret may come from, in the order in which the places are looked at.
type secretSource struct {
	what  string // for messages: "token of the source"
	flag  string // its value; "-" is a line of standard input
	file  string
	env   []string
	named string // the flags, for messages: "--from-token or --from-token-file"
}

// secret finds a secret; "" if there is none anywhere.
func (a *app) secret(s secretSource) (providers.Secret, error) {
	text, err := a.findSecret(s)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("%w: the %s spans several lines", transfer.ErrUsage, s.what)
	}
	a.secrets.add(text)
	return providers.Secret(text), nil
}

func (a *app) findSecret(s secretSource) (string, error) {
	if s.flag != "" && s.file != "" {
		return "", fmt.Errorf("%w: give %s, not both", transfer.ErrUsage, s.named)
	}
	switch {
	case s.flag == "-" || s.file == "-":
		return a.secretLine(s.what)
	case s.flag != "":
		return strings.TrimSpace(s.flag), nil
	case s.file != "":
		return readSecretFile(s.what, s.file)
	}
	for _, name := range s.env {
		if text := strings.TrimSpace(a.getenv(name)); text != "" {
			return text, nil
		}
	}
	return "", nil
}

// secretLine reads the next line of standard input.
func (a *app) secretLine(what string) (string, error) {
	var line []byte
	for {
		part, err := a.lines.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxSecret {
			return "", fmt.Errorf("%w: the %s on standard input is longer than %d bytes", transfer.ErrUsage, what, maxSecret)
		}
		if err == nil || errors.Is(err, io.EOF) {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", fmt.Errorf("read the %s from standard input: %w", what, err)
		}
	}
	text := strings.TrimSpace(string(line))
	if text == "" {
		return "", fmt.Errorf("%w: standard input holds no %s", transfer.ErrUsage, what)
	}
	return text, nil
}

func readSecretFile(what, path string) (string, error) {
	text, err := readLimited(path, maxSecret)
	if err != nil {
		return "", fmt.Errorf("%w: read the %s: %w", transfer.ErrUsage, what, err)
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return "", fmt.Errorf("%w: the file %s holds no %s", transfer.ErrUsage, path, what)
	}
	return trimmed, nil
}

// readLimited reads a file that must not be longer than limit.
func readLimited(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the user named the file
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	err = errors.Join(err, file.Close())
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return text, err
}
