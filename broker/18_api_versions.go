package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// ApiVersions: v0-4
//
// Behaviour:
// * Advertises exactly the table of apis.go. Produce is said to begin at
//   version 0 although 0 to 2 are refused, as Kafka does: older librdkafka
//   stops compressing otherwise.
// * A version that is too new is answered in version 0 with
//   UNSUPPORTED_VERSION and the versions of ApiVersions itself (KIP-511).
// * Features are those of features.go, with the levels that the metadata has.
//
// KIPs:
// * KIP-35: the API
// * KIP-511: client software name and version, fallback (v3)
// * KIP-584: features (v3)

func (n *Node) serveApiVersions(r *wire.Request) {
	if r.Version > apiVersionsMax {
		r.Version = 0
		r.Reply(&kmsg.ApiVersionsResponse{
			ErrorCode: kerr.UnsupportedVersion.Code,
			ApiKeys:   []kmsg.ApiVersionsResponseApiKey{{ApiKey: int16(kmsg.ApiVersions), MaxVersion: apiVersionsMax}},
		})
		return
	}
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.ApiVersionsRequest)
	resp := newResponse[*kmsg.ApiVersionsResponse](req)
	if r.Version >= 3 {
		if !validSoftwareName(req.ClientSoftwareName) || !validSoftwareName(req.ClientSoftwareVersion) {
			resp.ErrorCode = kerr.InvalidRequest.Code
			resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{}
			r.Reply(resp)
			return
		}
		r.Conn.SetClientSoftware(req.ClientSoftwareName, req.ClientSoftwareVersion)
	}
	if session := r.Conn.Session(); session != nil {
		session.VersionsAnswered()
	}
	resp.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, 0, len(n.advertisedAPIs))
	for _, a := range n.advertisedAPIs {
		key := kmsg.NewApiVersionsResponseApiKey()
		key.ApiKey, key.MinVersion, key.MaxVersion = a.Key, a.Min, a.Max
		resp.ApiKeys = append(resp.ApiKeys, key)
	}
	if r.Version >= 3 {
		n.describeFeatures(resp)
	}
	r.Reply(resp)
}

const apiVersionsMax = 4

// validSoftwareName follows KIP-511: letters, digits, '-' and '.', not at the ends.
func validSoftwareName(s string) bool {
	if s == "" {
		return false
	}
	for i, c := range []byte(s) {
		if !isAlphanumeric(c) && (c != '-' && c != '.' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return true
}
