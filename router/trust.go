package router

import (
	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/trust"
	"mlproxy/upstream"
)

// bindListeners has the certificates of the listeners kept.
func (t *Table) bindListeners(e *Estate) {
	t.data = t.listener("tls", t.config.TLS, e)
	t.admin = t.listener("admin.tls", t.config.Admin.TLS, e)
}

func (t *Table) listener(use string, c config.TLS, e *Estate) *trust.Identity {
	if !c.On() {
		return nil
	}
	return t.identity(trust.Listener(use, c), e)
}

// trusts is how TLS is spoken to a pool's endpoints; nil where it is not.
func (t *Table) trusts(p *config.Pool, e *Estate) upstream.Trust {
	if !p.Secure() {
		return nil
	}
	return t.identity(trust.Pool("pools."+p.Name+".tls", p.TLS), e)
}

func (t *Table) identity(s trust.Spec, e *Estate) *trust.Identity {
	i := e.Trust.Get(s)
	t.identities[i] = true
	return i
}

// DataIdentity is what the data listeners speak TLS with; nil = clear text.
func (t *Table) DataIdentity() *trust.Identity { return t.data }

// AdminIdentity is what the admin listener speaks TLS with; nil = clear text.
func (t *Table) AdminIdentity() *trust.Identity { return t.admin }

// certificates is what is shown of the files behind the table in force.
func (e *Estate) certificates() (all []monitor.Certificate) {
	now := e.inForce.Load()
	if now == nil {
		return nil
	}
	for _, s := range e.Trust.Standings(func(i *trust.Identity) bool { return now.identities[i] }) {
		all = append(all, monitor.Certificate(s))
	}
	return all
}
