package database

import (
	"context"
	"errors"
	"time"

	"github.com/go-sql-driver/mysql"
)

// maxBinds is what a prepared statement of MySQL takes.
const maxBinds = 65535

func connectMySQL(ctx context.Context, c Config) (session, error) {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.DBName = c.User, c.Password, c.Name
	config.Net, config.Addr = "tcp", c.address()
	if c.Socket != "" {
		config.Net, config.Addr = "unix", c.Socket
	}
	config.TLS = c.TLS
	config.Timeout = connectTimeout
	config.Logger = &mysql.NopLogger{}
	config.Collation = "utf8mb4_general_ci"
	config.MaxAllowedPacket = 0                    // ask the server
	config.Loc, config.ParseTime = time.UTC, false // times stay the text that they are
	config.AllowNativePasswords, config.CheckConnLiveness = true, false
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &driverSession{kind: MySQL, conn: conn, limits: limits{binds: maxBinds / 4, bytes: 1 << 20, rows: 500}}
	all, err := collect(s.query(ctx, "SELECT @@max_allowed_packet", nil))
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if packet, ok := Int(all[0][0]); ok {
		s.limits.bytes = min(s.limits.bytes, int(packet)/2)
	}
	return s, nil
}
