package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/transfer"
)

// outputOptions are the flags that say how much is shown and how.
type outputOptions struct {
	JSON    bool
	Quiet   bool
	Verbose bool
}

func (o *outputOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.JSON, "json", false, "write events and the result as JSON lines to standard output")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "say nothing but errors")
	f.BoolVar(&o.Verbose, "verbose", false, "show every detail, and the log")
}

func (o *outputOptions) validate() error {
	if o.Quiet && o.Verbose {
		return fmt.Errorf("%w: --quiet and --verbose exclude each other", transfer.ErrUsage)
	}
	return nil
}

// console writes what is said to people. While bars are drawn, text goes above them.
type console struct {
	mu    sync.Mutex // guards above
	w     io.Writer
	above io.Writer
	quiet bool
}

// Write is for the logger and for whatever else writes whole lines.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	w := c.w
	if c.above != nil {
		w = c.above
	}
	c.mu.Unlock()
	return w.Write(p)
}

func (c *console) through(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.above = w
}

// say writes a line unless the user wants quiet.
func (c *console) say(format string, args ...any) {
	if !c.quiet {
		c.insist(format, args...)
	}
}

// insist writes a line in any case. Nothing can be done about a standard error that cannot be written to.
func (c *console) insist(format string, args ...any) {
	_, _ = fmt.Fprintf(c, format+"\n", args...)
}
