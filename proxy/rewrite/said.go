package rewrite

import "strings"

// What a client says in a request tells it nothing when it comes back: neither
// that there is an instance of that name, nor that a broker's host is called so.
// Whether a text names something foreign is therefore judged without the words
// of the request; else trying names would find out which of them are somebody's.

// foreign reports whether a text names something foreign that the client has not
// said itself.
func (x *Exchange) foreign(text string) bool {
	return x.Foreign(text) && x.Foreign(x.lessSaid(text))
}

// mention says that name, a virtual one of this instance, may be in the answer
// though neither the request nor the broker's answer has it. During Map.
func (x *Exchange) mention(name string) { x.said = append(x.said, name) }

// lessSaid is text without the words that are in the request, be it behind this
// instance's prefix. Its work grows with text, and once with the request.
func (x *Exchange) lessSaid(text string) string {
	if x.words == nil {
		x.words = make(map[string]bool, len(x.said))
		for _, said := range x.said {
			eachWord(said, func(word, _ string) { x.words[strings.TrimRight(word, ".")] = true })
		}
	}
	var less strings.Builder
	eachWord(text, func(word, between string) {
		bare := strings.TrimRight(word, ".")
		if !x.words[bare] && !x.words[strings.TrimPrefix(bare, x.Space.Prefix())] {
			less.WriteString(word)
		}
		less.WriteString(between)
	})
	return less.String()
}

// eachWord calls fn for each stretch of bytes that a topic's name may have, which
// may be empty, with the byte behind it, "" at the end.
func eachWord(text string, fn func(word, between string)) {
	for len(text) > 0 {
		n := 0
		for n < len(text) && nameByte(text[n]) {
			n++
		}
		end := min(n+1, len(text))
		fn(text[:n], text[n:end])
		text = text[end:]
	}
}
