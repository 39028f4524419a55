package upstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// codeUnsupportedVersion is kerr.UnsupportedVersion, which ApiVersions answers in a v0 body (KIP-511).
	codeUnsupportedVersion = 35
	// maxApiVersions is 4: from it on a broker shows features whose lowest
	// level is 0, such as transaction.version (KIP-1022).
	maxApiVersions = 4
	// maxMetadata is the last version with a plain header; nothing about
	// brokers was added after it.
	maxMetadata = 8
	// softwareVersion is a placeholder that KIP-511 wants to be non-empty.
	softwareVersion = "1"
)

// question connects to one address as any caller would, asks what it speaks and
// which brokers there are, and hangs up, all within DialTimeout.
func (p *Pool) question(ctx context.Context, addr string) (*kmsg.ApiVersionsResponse, *kmsg.MetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	c, err := p.connect(ctx, addr, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("broker at %s: %w", addr, err)
	}
	defer func() { _ = c.Close() }()
	var api *kmsg.ApiVersionsResponse
	var meta *kmsg.MetadataResponse
	err = within(ctx, c, func() (err error) {
		t := &talker{conn: c}
		if api, err = askVersions(t); err != nil {
			return err
		}
		meta, err = askBrokers(t, api)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("broker at %s: %w", addr, err)
	}
	return api, meta, nil
}

// askVersions asks at the newest version both sides know.
func askVersions(t *talker) (*kmsg.ApiVersionsResponse, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = clientID, softwareVersion
	req.Version = maxApiVersions
	for {
		answer, err := t.ask(req)
		if err != nil {
			return nil, err
		}
		resp := answer.(*kmsg.ApiVersionsResponse)
		if resp.ErrorCode == codeUnsupportedVersion && req.Version > 0 {
			v, ok := rangeOf(resp, req.Key())
			if req.Version = min(v.Max, req.Version-1); !ok {
				req.Version = 0
			}
			continue
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, fmt.Errorf("ApiVersions: %w", err)
		}
		return resp, nil
	}
}

// askBrokers asks for the brokers alone: an empty list of topics (v1+) is none.
func askBrokers(t *talker, api *kmsg.ApiVersionsResponse) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	v, ok := rangeOf(api, req.Key())
	if !ok || v.Max < 1 || v.Min > maxMetadata {
		return nil, fmt.Errorf("broker speaks Metadata v%d to v%d, want one of v1 to v%d", v.Min, v.Max, maxMetadata)
	}
	req.Version = min(v.Max, maxMetadata)
	req.Topics = []kmsg.MetadataRequestTopic{}
	answer, err := t.ask(req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.MetadataResponse)
	if len(resp.Brokers) == 0 {
		return nil, errors.New("broker lists no brokers: it is still starting")
	}
	return resp, nil
}

func rangeOf(api *kmsg.ApiVersionsResponse, key int16) (VersionRange, bool) {
	for _, k := range api.ApiKeys {
		if k.ApiKey == key {
			return VersionRange{Min: k.MinVersion, Max: k.MaxVersion}, true
		}
	}
	return VersionRange{}, false
}
