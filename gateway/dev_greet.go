package gateway

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"weir/admin/clientfiles"
	"weir/auth"
)

// greet makes the instance demo, writes the files, and says "ready" once a
// client has really been served.
func (d *dev) greet(ctx context.Context, p *process) error {
	if err := d.ensureDemo(ctx, p.store); err != nil {
		return err
	}
	info := d.info(p)
	if err := clientfiles.Write(d.site.abs, d.connection()); err != nil {
		return err
	}
	if err := d.site.writeToken(d.secrets.TokenKey, time.Now()); err != nil {
		return err
	}
	select {
	case <-p.warm:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := waitKnown(ctx, p); err != nil {
		return err
	}
	if err := d.check(ctx); err != nil {
		return userError("dev-not-ready", err, nil, "a broker did not answer through the gateway: %v", err)
	}
	data, err := info.json()
	if err != nil {
		return err
	}
	if err := writeFile(d.site.infoFile(), data); err != nil {
		return err
	}
	return d.announce(info, data)
}

// waitKnown waits until the directory has seen demo: it was loaded a moment ago.
func waitKnown(ctx context.Context, p *process) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if v, ok := p.directory.View(demoInstance); ok && v.Users[demoUser].Name != "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *dev) info(p *process) *devInfo {
	info := &devInfo{
		Version: d.o.Version, PID: os.Getpid(), StartedAt: d.started.UTC(),
		Bootstrap: d.listen.String(), Admin: "http://" + p.adminAt.Addr().String(),
		Instance: string(demoInstance), Username: d.connection().Username,
		Kafka: "embedded", Redis: "embedded", DataDir: d.site.abs, Files: d.site.paths(),
	}
	for i := range d.nodes {
		info.Brokers = append(info.Brokers, address{d.listen.host, d.listen.port + 1 + i}.String())
	}
	if d.external {
		info.Kafka = strings.Join(d.o.Kafka, ",")
	}
	if d.o.Redis != "" {
		info.Redis = "external"
	}
	return info
}

// say prints for a person; nothing for a script.
func (d *dev) say(format string, args ...any) {
	if !d.o.Quiet && !d.o.JSON {
		_, _ = fmt.Fprintf(d.o.Out, format, args...) // a closed terminal stops nobody
	}
}

func (d *dev) announce(info *devInfo, data []byte) error {
	switch {
	case d.o.JSON:
		_, err := d.o.Out.Write(data)
		return err
	case !d.o.Quiet:
		d.describe(info)
	}
	_, err := io.WriteString(d.o.Out, "ready\n")
	return err
}

func (d *dev) describe(info *devInfo) {
	inside := []string{"gateway"}
	if !d.external {
		inside = append(inside, "Kafka")
	}
	if d.o.Redis == "" {
		inside = append(inside, "Redis")
	}
	files := strings.TrimSuffix(d.site.dir, "/") + "/"
	data := files + "data, kept between starts     start over: " + d.o.Command + " dev --fresh"
	if !d.site.nearby() {
		data += " --data-dir " + shellWord(d.site.dir)
	}
	if d.external {
		data = fmt.Sprintf("records on %s; the rest in %s", info.Kafka, data)
	}
	name := "Weir"
	if d.o.Version != untagged {
		name += " " + d.o.Version
	}
	d.say("%s dev: %s in this one process. Not for production.\n\n", name, enumerate(inside))
	d.say("  Kafka    %s (brokers %d-%d)   SASL_SSL  %s  instance %s, user %s\n", info.Bootstrap,
		d.listen.port+1, d.listen.port+len(d.nodes), auth.ScramSHA512, info.Instance, info.Username)
	d.say("  API      %s/v1    metrics  /metrics    both with the token of %sadmin.token\n", info.Admin, files)
	d.say("  Data     %s\n", data)
	d.say("  Files    %s  client.properties  kcat.conf  client.env  ca.pem  admin.token  dev.json\n\n", files)
	topicFlags, instanceFlags := "", ""
	if !d.site.nearby() { // the commands find only a .weir from here upwards
		topicFlags = "--config " + shellWord(files+clientfiles.EnvFile) + " "
		instanceFlags = " --server " + info.Admin + " --token-file " + shellWord(files+"admin.token")
	}
	d.say("  Try it   %s topic produce %shello \"first message\"\n", d.o.Command, topicFlags)
	d.say("           %s topic consume %shello --from-beginning\n", d.o.Command, topicFlags)
	d.say("           kcat -F %s -L\n", shellWord(files+clientfiles.KcatFile))
	d.say("           kafka-topics.sh --bootstrap-server %s --command-config %s --list\n", info.Bootstrap, shellWord(files+clientfiles.PropertiesFile))
	d.say("           %s instance create orders%s\n\n", d.o.Command, instanceFlags)
}

// untagged is the version of a build of no tag or revision, as by go run.
const untagged = "devel"

// enumerate is "a", "a and b", "a, b and c".
func enumerate(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// shellWord quotes a path that a shell would take apart.
func shellWord(s string) string {
	if strings.ContainsAny(s, " \t\"'$&|;<>()*?[]#~`\\!{}") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
