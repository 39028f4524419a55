package gateway

import (
	"strconv"

	"weir/metering"
	"weir/tenancy"
	"weir/upstream"
)

// holding makes what counts the partitions and the storage that instances hold. It is
// run with the book.
func (p *process) holding(a assembly, book *metering.Book) {
	gateway, epoch := book.Start()
	p.held = metering.NewHolding(metering.HoldingConfig{
		Minutes: p.counts, Owner: gateway + "/" + strconv.FormatInt(epoch, 10), Log: a.log,
		Count: func(of metering.Of, partitionSeconds, storageByteSeconds int64) {
			account := book.Open(of)
			account.Add(metering.PartitionSeconds, partitionSeconds)
			account.Add(metering.StorageByteSeconds, storageByteSeconds)
			book.Close(account)
		},
	})
}

// sampled is told what instances hold of a pool; it does not wait.
func (p *process) sampled(pool string, sample *upstream.Holdings) {
	p.proxy.Sampled(pool, sample)
	var all []metering.Held
	sample.Each(func(id tenancy.InstanceID, has upstream.Holding) {
		// Of an instance that is deleted nobody pays for what is not removed yet.
		v, ok := p.directory.View(id)
		if !ok {
			return
		}
		in := v.Instance
		all = append(all, metering.Held{
			Of:         metering.Of{Instance: id, Tenant: in.Tenant, Plan: in.Plan, Pool: pool},
			Partitions: int64(has.Partitions), Bytes: has.Bytes,
		})
	})
	p.held.Sampled(pool, sample.At, all)
}
