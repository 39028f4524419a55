package proxy

// charge is called when a request's header has arrived and its body has not:
// begin is the frame as far as it is there, size the whole frame's. It holds the
// request until the instance's limits let it proceed, and charges it. What is held
// takes no memory here: the client's own socket waits.
func (c *conn) charge(begin []byte, size int) error {
	if c.sess == nil || c.srv.cfg.Quota == nil {
		return nil
	}
	return nil
}
