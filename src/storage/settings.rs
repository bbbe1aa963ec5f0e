//! Values of the installation that all nodes must agree on.

use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel};

use super::entity::setting::{Column, Entity, Model};
use super::{Reader, StorageError, Writer};

pub async fn find(reader: &impl Reader, name: &str) -> Result<Option<String>, StorageError> {
    let row = Entity::find_by_id(name.to_owned())
        .one(reader.connection())
        .await?;
    Ok(row.map(|row| row.value))
}

/// Writes the value if it is absent. Returns `false` if it exists: of nodes that start together, one writes it.
pub async fn insert_if_absent(writer: &impl Writer, name: &str, value: &str) -> Result<bool, StorageError> {
    let inserted = Entity::insert(row(name, value).into_active_model())
        .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
        .exec_without_returning(writer.connection())
        .await?;
    Ok(inserted > 0)
}

/// Writes the value, in place of any existing one.
pub async fn upsert(writer: &impl Writer, name: &str, value: &str) -> Result<(), StorageError> {
    let overwrite = OnConflict::column(Column::Name)
        .update_column(Column::Value)
        .to_owned();
    Entity::insert(row(name, value).into_active_model())
        .on_conflict(overwrite)
        .exec_without_returning(writer.connection())
        .await?;
    Ok(())
}

fn row(name: &str, value: &str) -> Model {
    Model {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
