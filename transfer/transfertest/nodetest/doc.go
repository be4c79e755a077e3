// Package nodetest runs test scripts in Node.js, with the npm packages that they need, against a server of the test.
//
// npm installs the packages once into a cache (TRANSFER_NODE_CACHE, or a folder of the user's cache), in exactly the versions of
// package-lock.json. A script is CommonJS, and may require node:test, socket.io-client, ws and playwright-core.
package nodetest
