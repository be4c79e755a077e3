// Package dashboard shows a server's jobs to people in a browser, and lets them do what their token permits.
//
// # Design
//
// All HTML is rendered here. A page that changes by itself listens to a stream of events, each of which holds the newest picture of
// parts of the page, rendered by the same templates; the script in static/app.js puts them in place and does little else. A message that
// was lost is therefore not missed: the next one, and the first of a new connection, says all. Without the script pages show what
// is, and every form works.
//
// Somebody signs in with a token and gets a cookie that names the token and is signed with the servers' common secret. The cookie
// permits nothing by itself: for each request the token is looked up anew, so that what was revoked or cut down stops working at once.
//
// A browser loads nothing from elsewhere and runs nothing but static/app.js: the Content-Security-Policy permits no more.
package dashboard
