const { join } = require('path');

module.exports = ({ env }) => ({
  connection: {
    client: 'sqlite',
    connection: { filename: join(__dirname, '..', env('DATABASE_FILENAME')) },
    useNullAsDefault: true,
  },
});
