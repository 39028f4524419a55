package gateway

import "reflect"

// allKeys are the keys of weir.yaml, from the struct tags.
func allKeys() []string {
	seen := make(map[string]bool)
	var keys []string
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for field := range t.Fields() {
			if key := field.Tag.Get("yaml"); key != "" {
				if !seen[key] {
					seen[key] = true
					keys = append(keys, key)
				}
				walk(field.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	return keys
}
