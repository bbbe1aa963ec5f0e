//! Words of the detail of a verdict, in each language. The conditions of a release come from
//! [`slipway_domain::catalog::targeting_words`].

use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::release::ReleaseStateKind;

/// Words of one language. A value replaces each `{}`.
pub(super) struct Words {
    pub(super) tenant_off: &'static str,
    pub(super) app_off: &'static str,
    pub(super) resource_off: &'static str,
    pub(super) state: &'static str,
    states: [&'static str; 5],
    pub(super) window: &'static str,
    pub(super) host_version: &'static str,
    pub(super) other_type: &'static str,
    pub(super) no_type: &'static str,
    pub(super) min_sdk: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) no_org_info: &'static str,
    pub(super) attribute: &'static str,
    pub(super) attribute_absent: &'static str,
    pub(super) rollout: &'static str,
    pub(super) stale: &'static str,
    pub(super) pin_hold: &'static str,
    pub(super) pin_exact: &'static str,
    pub(super) pin_ceiling: &'static str,
    pub(super) file_unavailable: &'static str,
    pub(super) newer_passes: &'static str,
    pub(super) floor: &'static str,
    pub(super) nothing_installed: &'static str,
    pub(super) older_installed: &'static str,
    pub(super) newer_by_pin: &'static str,
    pub(super) newer_is_floor: &'static str,
    pub(super) installed: &'static str,
    pub(super) repair: &'static str,
    pub(super) installed_is_newer: &'static str,
    pub(super) rollback: &'static str,
    pub(super) removal: &'static str,
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        }
    }

    pub(super) fn state_of(&self, state: ReleaseStateKind) -> &'static str {
        match state {
            ReleaseStateKind::Draft => self.states[0],
            ReleaseStateKind::Published => self.states[1],
            ReleaseStateKind::Paused => self.states[2],
            ReleaseStateKind::Recalled => self.states[3],
            ReleaseStateKind::Discarded => self.states[4],
        }
    }
}

const ENGLISH: Words = Words {
    tenant_off: "offers of the tenant are switched off",
    app_off: "the app is switched off",
    resource_off: "the resource is switched off",
    state: "the release is {}",
    states: ["draft", "published", "paused", "recalled", "discarded"],
    window: "the release is offered {}; now is {}",
    host_version: "the release is for {}; the host app's version is {}",
    other_type: "the release is for {}; the device has type {}",
    no_type: "the release is for {}; the device sent no type",
    min_sdk: "the file needs API level {}, {} was sent as {}",
    elsewhere: "the release is for {}; the device is elsewhere",
    no_org_info: "the release is for {}; the device sent no org_info",
    attribute: "the release is for devices on which {}; {} was sent as {}",
    attribute_absent: "the release is for devices on which {}; {} was not sent",
    rollout: "the release is for {}; the device is not among them",
    stale: "this node is stale and withholds partial rollouts",
    pin_hold: "a pin holds this resource",
    pin_exact: "a pin allows only version {}",
    pin_ceiling: "a pin allows only versions up to {}",
    file_unavailable: "the file cannot be downloaded: it is damaged or missing, or SLIPWAY_PUBLIC_URL is not set",
    newer_passes: "version {} is newer and passes too",
    floor: "version {} is a floor that must not be skipped",
    nothing_installed: "nothing is installed",
    older_installed: "version {} is installed and older",
    newer_by_pin: "{}; a pin allows only version {}, so floors below it are passed over",
    newer_is_floor: "{}; it is a floor that must not be skipped",
    installed: "version {} is installed",
    repair: "version {} is installed with another md5",
    installed_is_newer: "version {} is installed and newer",
    rollback: "version {} is installed and was recalled with rollback",
    removal: "version {} is installed and was recalled with removal",
};

const CHINESE: Words = Words {
    tenant_off: "该租户已关闭提供更新",
    app_off: "该应用已关闭",
    resource_off: "该资源已关闭",
    state: "该版本{}",
    states: ["为草稿", "已发布", "已暂停", "已撤回", "已丢弃"],
    window: "该版本的提供时间为{}；当前时间为 {}",
    host_version: "该版本面向{} 的设备；此设备的宿主版本为 {}",
    other_type: "该版本面向{} 的设备；此设备的类型为 {}",
    no_type: "该版本面向{} 的设备；此设备未上报类型",
    min_sdk: "文件要求 API 级别 {}；上报的 {} 为 {}",
    elsewhere: "该版本面向 {}；此设备不在其中",
    no_org_info: "该版本面向 {}；此设备未上报 org_info",
    attribute: "该版本面向满足“{}”的设备；上报的 {} 为 {}",
    attribute_absent: "该版本面向满足“{}”的设备；未上报 {}",
    rollout: "该版本面向{}；此设备不在其中",
    stale: "本节点长时间未与数据库同步，暂停提供灰度发布",
    pin_hold: "该资源被锁定，不更新",
    pin_exact: "锁定只允许版本 {}",
    pin_ceiling: "锁定只允许不高于 {} 的版本",
    file_unavailable: "文件无法下载：已损坏或缺失，或未设置 SLIPWAY_PUBLIC_URL",
    newer_passes: "版本 {} 更高，且同样符合条件",
    floor: "版本 {} 是不能跳过的必经版本",
    nothing_installed: "未安装任何版本",
    older_installed: "已安装的版本 {} 较低",
    newer_by_pin: "{}；锁定只允许版本 {}，因此跳过更低的必经版本",
    newer_is_floor: "{}；该版本是不能跳过的必经版本",
    installed: "已安装版本 {}",
    repair: "已安装版本 {}，但 md5 不同",
    installed_is_newer: "已安装的版本 {} 更高",
    rollback: "已安装的版本 {} 已撤回，方式为回滚",
    removal: "已安装的版本 {} 已撤回，方式为移除",
};
