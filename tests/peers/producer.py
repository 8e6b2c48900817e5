"""Inserts events numbered from one number to another: the first half in bulk, then one by one."""
import sys
import psycopg2
import pgq

connection = psycopg2.connect(sys.argv[1])
queue, first, end = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
middle = (first + end) // 2
cursor = connection.cursor()
# It requests the table and then inserts. With the extension, events are lost when a rotation happens in between and the
# transaction gets its id only then.
cursor.execute("select txid_current()")
rows = [["bulk", str(number), "x\ty", "now()"] for number in range(first, middle)]
pgq.bulk_insert_events(cursor, rows, ["ev_type", "ev_data", "ev_extra4", "ev_time"], queue)
connection.commit()
for number in range(middle, end):
    pgq.insert_event(cursor, queue, "single", str(number), extra1="one")
    connection.commit()
