// Package jobs queues transfers and keeps what became of each.
//
// # Design
//
// A [Job] is one transfer as an operator sees it. Its row in a [Store] is the truth: a [Manager] claims the row of a job that waits,
// runs it, and from then on shows by its heartbeat that it lives. No clock decides over life and death: a server that watches
// another's job compares the heartbeats that it sees with its own monotonic time, so that a clock that is set loses nobody a job.
//
// What happens to jobs is a log of events, one for all jobs. Its position, [Position], is what a subscriber hands in to hear what it
// missed. Changes of state are in the log for good and told exactly once and in order; progress is not: each is a full picture, of
// which only the newest matters, and a subscriber that is slow gets fewer of them. [Feed] tells both, and never waits for anybody.
//
// SQLite keeps the jobs of one server, PostgreSQL those of several. Both pass one suite.
package jobs
