package strapi_test

import (
	"flag"
	"testing"

	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked { // most tests wait for a database most of the time
		_ = flag.Set("test.parallel", "6") // it is a number
	}
	sqltest.Main(m).Run()
}
