package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/providers/directory"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// What makes the test binary a process to be killed: a server with a vault ("serve FOLDER"), or a client ("push URL", "pull URL
// TARGET"), and the token of the client.
const (
	victimEnv = "TRANSFER_TEST_VICTIM"
	secretEnv = "TRANSFER_TEST_SECRET"
)

// vaultSite is a site of a vault.
type vaultSite struct{ vault *vault.Vault }

func (s vaultSite) Source(ctx context.Context) (transfer.Source, error) {
	src, err := s.vault.Source(ctx, server.DefaultSite, "")
	if err != nil {
		return nil, err
	}
	return src, nil
}

func (s vaultSite) Destination(_ context.Context, who string) (transfer.Destination, error) {
	dst, err := s.vault.Destination(server.DefaultSite, vault.WriteOptions{Who: who})
	if err != nil {
		return nil, err
	}
	return dst, nil
}

// victim is what a process to be killed does.
func victim(what string) {
	ctx := context.Background()
	words := strings.Split(what, " ")
	var err error
	switch words[0] {
	case "serve":
		err = victimServes(ctx, words[1])
	case "push":
		dst := remote.NewDestination(words[1], victimOptions())
		_, err = transfer.Run(ctx, transfertest.NewMemory(small()), dst, transfer.Options{})
		err = errors.Join(err, dst.Close())
	case "pull":
		err = pullInto(ctx, remote.NewSource(words[1], victimOptions()), words[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // of a process that a test has started
	}
}

func victimOptions() remote.Options {
	return remote.Options{Token: os.Getenv(secretEnv), Offer: extensions()}
}

func victimServes(ctx context.Context, dir string) error {
	v, err := vault.Open(ctx, dir, vault.Options{})
	if err != nil {
		return err
	}
	tokens, err := token.Open(ctx, dir, token.Options{})
	if err != nil {
		return err
	}
	srv, err := server.New(server.Config{Tokens: tokens, Sites: map[string]server.Site{server.DefaultSite: vaultSite{v}}})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Println(listener.Addr()); err != nil { //nolint:forbidigo // what the test waits for
		return err
	}
	return srv.Serve(ctx, listener, nil)
}

// openTarget opens an archive or a folder to be written, by the end of its name.
func openTarget(path string) (transfer.Destination, error) {
	if strings.HasSuffix(path, ".tar.gz") {
		return archive.Create(path, archive.Options{})
	}
	return directory.Create(path, directory.Options{})
}

// pullInto pulls into an archive or a folder.
func pullInto(ctx context.Context, src transfer.Source, path string) error {
	dst, err := openTarget(path)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	_, err = transfer.Run(ctx, src, dst, transfer.Options{})
	return errors.Join(err, dst.Close(), src.Close())
}

// process is a running victim.
type process struct {
	cmd *exec.Cmd
	out io.Reader
}

// start runs a victim, which is killed at the latest when the test ends.
func start(t *testing.T, what, secret string) *process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+what, secretEnv+"="+secret)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{cmd: cmd, out: out}
	t.Cleanup(p.kill)
	return p
}

// kill sends SIGKILL and waits for the end. It may be called again.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// address is what a server prints when it can be reached.
func (p *process) address(t *testing.T) string {
	t.Helper()
	line, err := bufio.NewReader(p.out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}
