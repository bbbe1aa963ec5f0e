DROP TRIGGER devices_count_update;
DROP TRIGGER devices_count_delete;
DROP TRIGGER devices_count_insert;
DROP TRIGGER device_installs_count_update;
DROP TRIGGER device_installs_count_delete;
DROP TRIGGER device_installs_count_insert;
DROP TABLE place_counts;
DROP TABLE install_counts;
