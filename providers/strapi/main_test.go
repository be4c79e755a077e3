package strapi_test

import (
	"testing"

	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) { sqltest.Main(m).Run() }
