package server

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// prepareJobs makes what runs and shows jobs.
func (s *Server) prepareJobs() error {
	c := s.config.Jobs
	if c.Store == nil {
		return nil
	}
	opts := c.Options
	opts.Run, opts.Grace, opts.Logger = s.runJob, s.config.Grace, s.log
	if c.Owner != "" {
		opts.Owner = c.Owner
	}
	var err error
	if s.jobs, err = jobs.New(c.Store, opts); err != nil {
		return err
	}
	s.metrics.watchFeed(s.jobs.Feed())
	s.api = s.newAPI()
	if err := s.prepareFeeds(); err != nil {
		return err
	}
	if c.Dashboard != nil {
		s.pages = c.Dashboard(s)
	}
	return nil
}

// Jobs runs the server's jobs. It is nil for a server without.
func (s *Server) Jobs() *jobs.Manager { return s.jobs }

// RunJobs runs jobs until ctx ends, and what tells of them. Serve does so too; it is for servers that are served in another way.
func (s *Server) RunJobs(ctx context.Context) error {
	if s.jobs == nil {
		return nil
	}
	feeding, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return s.feeds.Run(feeding) })
	err := s.jobs.Run(ctx) // whose ends the feeds still tell
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownMargin)
	defer cancel()
	err = errors.Join(err, s.feeds.Close(late))
	stop()
	return errors.Join(err, group.Wait())
}

// Secret is a key that the servers which share jobs have in common.
func (s *Server) Secret() []byte { return s.config.Jobs.Store.Secret() }

// Registry is where the server's metrics are.
func (s *Server) Registry() *prometheus.Registry { return s.metrics.registry }

// Gatherer gathers the server's metrics.
func (s *Server) Gatherer() prometheus.Gatherer { return s.metrics.registry }

// watchFeed makes the figures of the feed metrics.
func (m *metrics) watchFeed(feed *jobs.Feed) {
	for _, figure := range []struct {
		name, help string
		counter    bool
		value      func(jobs.FeedStats) int64
	}{
		{"subscribers", "Subscribers of jobs.", false, func(s jobs.FeedStats) int64 { return s.Subscribers }},
		{"events_total", "Events put in line for subscribers.", true, func(s jobs.FeedStats) int64 { return s.Sent }},
		{"events_merged_total", "Events of progress that took the place of an older one.", true, func(s jobs.FeedStats) int64 { return s.Merged }},
		{"subscribers_dropped_total", "Subscribers that were too slow.", true, func(s jobs.FeedStats) int64 { return s.Dropped }},
	} {
		value := func() float64 { return float64(figure.value(feed.Stats())) }
		if figure.counter {
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "transfer", Subsystem: "jobs", Name: figure.name, Help: figure.help}, value))
			continue
		}
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "transfer", Subsystem: "jobs", Name: figure.name, Help: figure.help}, value))
	}
}
