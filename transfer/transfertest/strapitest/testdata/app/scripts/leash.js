// Ends this process when whoever started it is gone: file descriptor 3 is a pipe that only the starter holds open.
const { Socket } = require('net');

if (process.env.STRAPITEST_LEASH) {
  const leash = new Socket({ fd: 3, readable: true, writable: false });
  leash.on('error', () => process.exit(1));
  leash.on('close', () => process.exit(1));
  leash.resume();
  leash.unref();
  delete process.env.STRAPITEST_LEASH; // children do not inherit the descriptor
}
