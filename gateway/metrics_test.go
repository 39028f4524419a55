package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Every metric of a gateway stands on some page of docs.
func TestMetricsAreDocumented(t *testing.T) {
	redis, kafka := miniredis.RunT(t), kfake.MustCluster()
	t.Cleanup(kafka.Close)
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var docs strings.Builder
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		docs.Write(text)
	}
	_, url, _ := composed(t, redis.Addr(), kafka.ListenAddrs()[0])
	status, text := request(t.Context(), http.MethodGet, url+"/metrics", operatorToken(t), nil)
	names := regexp.MustCompile(`(?m)^# TYPE (weir_\w+) `).FindAllStringSubmatch(string(text), -1)
	if status != http.StatusOK || len(names) < 30 {
		t.Fatalf("status %d, %d metrics", status, len(names))
	}
	for _, name := range names {
		if !strings.Contains(docs.String(), "`"+name[1]+"`") {
			t.Errorf("%s is on no page of docs", name[1])
		}
	}
}
