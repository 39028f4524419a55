package export

import (
	"io"

	"github.com/parquet-go/parquet-go"

	"weir/metering"
)

const (
	// rowGroup bounds the rows that are in memory: about 20 MiB.
	rowGroup = 50_000
	// parquetBatch is how many are given to the library at once.
	parquetBatch = 1_000
)

// parquetRow is a record's columns. A test holds the meters to those that there are.
type parquetRow struct {
	ID       string `parquet:"id"`
	Tenant   string `parquet:"tenant,dict"`
	Instance string `parquet:"instance,dict"`
	Plan     string `parquet:"plan,dict"`
	Pool     string `parquet:"pool,dict"`
	Part     string `parquet:"part,dict"`
	Start    int64  `parquet:"start,timestamp(millisecond)"`
	End      int64  `parquet:"end,timestamp(millisecond)"`
	Revision int32  `parquet:"revision"`
	Complete bool   `parquet:"complete"`
	Gateways int32  `parquet:"gateways"`
	Sealed   int64  `parquet:"sealed,timestamp(millisecond)"`

	ProduceBytes         int64 `parquet:"produce_bytes"`
	ProduceRecords       int64 `parquet:"produce_records"`
	FetchBytes           int64 `parquet:"fetch_bytes"`
	FetchRecords         int64 `parquet:"fetch_records"`
	Requests             int64 `parquet:"requests"`
	RequestBytes         int64 `parquet:"request_bytes"`
	ResponseBytes        int64 `parquet:"response_bytes"`
	ConnectionSeconds    int64 `parquet:"connection_seconds"`
	ConnectionAttempts   int64 `parquet:"connection_attempts"`
	AuthFailures         int64 `parquet:"auth_failures"`
	PartitionSeconds     int64 `parquet:"partition_seconds"`
	StorageByteSeconds   int64 `parquet:"storage_byte_seconds"`
	CrossZoneBytes       int64 `parquet:"cross_zone_bytes"`
	TransactionalRecords int64 `parquet:"transactional_records"`

	Number   int64    `parquet:"number"`
	PrevHash [32]byte `parquet:"prev_hash"`
}

// parquetRows writes a Parquet file, row group by row group.
type parquetRows struct {
	w    *parquet.GenericWriter[parquetRow]
	rows []parquetRow
}

func newParquet(w io.Writer) (encoder, error) {
	return &parquetRows{
		w: parquet.NewGenericWriter[parquetRow](w,
			parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(rowGroup),
			// The library would put its version and build here.
			parquet.CreatedBy("weir", "1", "usage")),
		rows: make([]parquetRow, 0, parquetBatch),
	}, nil
}

func (p *parquetRows) add(r *metering.Record) error {
	v := &r.Values
	p.rows = append(p.rows, parquetRow{
		ID: r.ID(), Tenant: string(r.Tenant), Instance: string(r.Instance), Plan: r.Plan, Pool: r.Pool, Part: r.Part,
		Start: r.Hour.Begin().UnixMilli(), End: r.Hour.End().UnixMilli(), Sealed: r.Sealed.UnixMilli(),
		Revision: int32(r.Revision), Complete: r.Complete, Gateways: int32(r.Gateways),
		ProduceBytes: v[metering.ProduceBytes], ProduceRecords: v[metering.ProduceRecords],
		FetchBytes: v[metering.FetchBytes], FetchRecords: v[metering.FetchRecords],
		Requests: v[metering.Requests], RequestBytes: v[metering.RequestBytes], ResponseBytes: v[metering.ResponseBytes],
		ConnectionSeconds: v[metering.ConnectionSeconds], ConnectionAttempts: v[metering.ConnectionAttempts], AuthFailures: v[metering.AuthFailures],
		PartitionSeconds: v[metering.PartitionSeconds], StorageByteSeconds: v[metering.StorageByteSeconds],
		CrossZoneBytes: v[metering.CrossZoneBytes], TransactionalRecords: v[metering.TransactionalRecords],
		Number: r.Number, PrevHash: r.Prev,
	})
	if len(p.rows) < cap(p.rows) {
		return nil
	}
	return p.flush()
}

func (p *parquetRows) flush() error {
	_, err := p.w.Write(p.rows)
	p.rows = p.rows[:0]
	return err
}

func (p *parquetRows) close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.w.Close()
}
