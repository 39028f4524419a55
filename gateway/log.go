package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// newLogger writes text for a person at a terminal and JSON for everything else.
func newLogger(cfg LogConfig, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slogLevel(cfg.Level)}
	if cfg.Format == "text" || cfg.Format == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func slogLevel(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// isTerminal says whether w is a character device; good enough to choose a format.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// randomText returns n letters and digits of base32, 5 random bits each; n is at most 26.
func randomText(n int) string { return rand.Text()[:n] }

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// redisLog takes what go-redis would print to standard error in a form of its
// own. At debug: whoever asked Redis has the error too, and says what it means.
type redisLog struct{ log *slog.Logger }

// Printf is go-redis's internal.Logging.
func (r redisLog) Printf(ctx context.Context, format string, v ...any) {
	r.log.DebugContext(ctx, "redis client", "text", fmt.Sprintf(format, v...))
}
