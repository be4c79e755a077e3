package main

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nobody reads, and who writes goes on; once somebody reads, what was dropped is told.
func TestALogThatNobodyReadsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	b := newBuffered(w)
	for range 3 * maxWaiting {
		n, err := b.Write([]byte("line\n"))
		require.NoError(t, err)
		require.Equal(t, 5, n)
	}
	read := make(chan []string)
	go func() {
		var lines []string
		for in := bufio.NewScanner(r); in.Scan(); {
			lines = append(lines, in.Text())
		}
		read <- lines
	}()
	b.close()
	require.NoError(t, w.Close())
	lines := <-read
	require.GreaterOrEqual(t, len(lines), maxWaiting+1)
	require.Equal(t, maxWaiting, strings.Count(strings.Join(lines[:maxWaiting], " "), "line"))
	require.Contains(t, lines[len(lines)-1], "not written here")
	n, err := b.Write([]byte("late\n"))
	require.NoError(t, err)
	require.Equal(t, 5, n)
}
